/** A replica's port, as the gateway sees it. */
export interface Backend {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/**
 * A load balancer that passes TLS through. It holds no key and no certificate: what it can do to a connection is to drop it.
 */
export interface Gateway {
  readonly kind: "nginx" | "built-in";
  readonly address: { readonly host: string; readonly port: number };
  /** Takes effect for new connections; those open to a backend that left stay until either side closes them. */
  setBackends(backends: readonly Backend[]): Promise<void>;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}
