import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer, type TlsOptions, type TLSSocket } from "node:tls";
import { type ConnectionHandlers, Http2Connection } from "./connection.ts";
import type { Http2Limits } from "./frame-handler.ts";

export interface Http2ServerOptions extends Http2Limits {
  /** With the protocols to agree on; `undefined` is plaintext, which clients have to know. (RFC 9113, section 3.3) */
  readonly tls: TlsOptions | undefined;
  readonly maxConnections: number;
  /** How long a client may neither send nor read what it has to. */
  readonly idleMs: number;
  readonly onConnection: (connection: Http2Connection) => void;
  readonly onStream: ConnectionHandlers["onStream"];
  readonly onClose: () => void;
}

/** A listener, and the connections that came from it. */
export interface Http2Server {
  readonly listener: Server | TlsServer;
  /** Takes no new connection, lets running calls end, cuts off after `graceMs`. Resolves when the last connection is closed. */
  close(graceMs: number): Promise<void>;
}

/** Standing still is noticed in turns of this part of the time that is allowed. */
const WATCH_TURNS = 4;

export function createHttp2Server(options: Http2ServerOptions): Http2Server {
  const connections = new Set<Http2Connection>();
  const begin = (socket: Socket): void => {
    const connection = new Http2Connection(socket, options, {
      onStream: options.onStream,
      onClose: (closed) => {
        connections.delete(closed);
        options.onClose();
      },
    });
    connections.add(connection);
    options.onConnection(connection);
  };
  const listener = options.tls === undefined ? createTcpServer(begin) : secureListener(options.tls, begin);
  listener.maxConnections = options.maxConnections;
  // Small answers must not wait for the acknowledgement of those before.
  listener.on("connection", (socket: Socket) => socket.setNoDelay(true));
  const watch = setInterval(() => {
    for (const connection of connections) connection.watch(WATCH_TURNS);
  }, options.idleMs / WATCH_TURNS).unref();
  return {
    listener,
    close: async (graceMs) => {
      const closed = new Promise<void>((resolve) => {
        listener.close(() => resolve());
      });
      for (const connection of connections) connection.close();
      const cutOff = setTimeout(() => {
        for (const connection of connections) connection.destroy();
      }, graceMs);
      await closed;
      clearTimeout(cutOff);
      clearInterval(watch);
    },
  };
}

function secureListener(tls: TlsOptions, begin: (socket: Socket) => void): TlsServer {
  const listener = createTlsServer(tls);
  listener.on("secureConnection", (socket: TLSSocket) => {
    // A client that names no protocol speaks HTTP/1.1.
    if (socket.alpnProtocol === false) socket.destroy();
    else begin(socket);
  });
  // A failed handshake concerns only its own connection.
  listener.on("tlsClientError", (_error, socket) => socket.destroy());
  return listener;
}
