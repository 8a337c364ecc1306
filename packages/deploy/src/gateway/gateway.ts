/** One address that takes connections: a replica's port, as the gateway sees it. */
export interface Backend {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** The server name of a route that takes every connection that no other route takes. */
export const ANY_NAME = "*";

/** Where connections go whose ClientHello asks for a name: an exact one, `*.example.com` for its sub-domains, or `ANY_NAME`. */
export interface Route {
  readonly serverName: string;
  readonly backends: readonly Backend[];
}

/**
 * A load balancer that passes TLS through. It holds no key and no certificate: what it can do to a connection is to drop it.
 */
export interface Gateway {
  readonly kind: "nginx" | "built-in";
  readonly address: { readonly host: string; readonly port: number };
  /** Takes effect for new connections; those open to a backend that left stay until either side closes them. */
  setRoutes(routes: readonly Route[]): Promise<void>;
  close(): Promise<void>;
}

/** What a gateway lets a connection do. */
export interface GatewayLimits {
  /** Connections in all. */
  readonly maxConnections: number;
  /** Connections of one client address; no limit where it is left out. */
  readonly maxConnectionsPerAddress?: number;
  /** What a client may send on one connection, in bytes a second; no limit where it is left out. */
  readonly uploadBytesPerSecond?: number;
  readonly connectTimeoutSeconds: number;
  /** A connection that moves no byte for so long is closed. */
  readonly idleTimeoutSeconds: number;
  /** The PROXY protocol (versions 1 and 2): a balancer in front tells the client's address in it. Only where nobody else can connect. */
  readonly acceptProxyProtocol: boolean;
  /** The PROXY protocol (version 1) towards backends, which have to expect it. */
  readonly sendProxyProtocol: boolean;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  maxConnections: 4096,
  connectTimeoutSeconds: 2,
  idleTimeoutSeconds: 600,
  acceptProxyProtocol: false,
  sendProxyProtocol: false,
};

/** What is known of a connection that ended. No payload, and nothing that TLS protects: the server name is sent in the clear. */
export interface ConnectionRecord {
  readonly client: string;
  readonly serverName: string;
  readonly backend: string;
  /** The gateway's own end of the connection to the backend, which that sees as its peer: `host:port`. */
  readonly upstream: string;
  readonly outcome: "passed" | "refused" | "no-route" | "no-backend";
  readonly bytesFromClient: number;
  readonly bytesToClient: number;
  readonly seconds: number;
}

export interface GatewayOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly limits?: GatewayLimits;
}
