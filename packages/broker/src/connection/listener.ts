import { constants } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type SecureContextOptions, type TLSSocket } from "node:tls";
import { type Address, listenAt } from "../listen.ts";
import { type Connection, ConnectionTable, end } from "./connection-table.ts";
import type { BrokerLimits, BrokerOptions } from "../options.ts";

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: BrokerOptions["tls"];
  readonly limits: BrokerLimits;
  /** Serves one connection whose handshake is complete. What it throws is its own bug: see `onError`. */
  readonly onSecure: (socket: TLSSocket, connection: Connection) => Promise<void>;
  readonly onClosed: (connection: Connection) => void;
  readonly onError: (error: unknown) => void;
}

export interface Listener {
  readonly address: Address;
  /** For handshakes to come. */
  replaceTls(tls: { readonly key: string; readonly cert: string }): void;
  close(graceMs: number): Promise<void>;
}

/**
 * Listens for enclaves. Any client certificate passes the handshake, which proves only that the client has its key; the
 * appraisal decides about it later. There is no resumption of any kind, so each connection has its own handshake. Throws LISTEN_FAILED.
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { host, port, limits } = options;
  const table = new ConnectionTable(limits);
  const tlsServer = createTlsServer({
    ...secureContext(options.tls),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeTimeoutMs,
  });
  tlsServer.on("secureConnection", (socket) => secure(socket, table, options));
  // Who has to wait for a place costs a socket only: nothing is read, and no state of TLS is made.
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accept(socket, table, options, () => tlsServer.emit("connection", socket));
  });
  const address = await listenAt(server, { host, port });
  server.on("error", options.onError);
  return {
    address,
    replaceTls: (tls) => tlsServer.setSecureContext(secureContext({ ...options.tls, ...tls })),
    close: (graceMs) => close(server, table, graceMs),
  };
}

/** All of it again for every certificate: what is left out would fall back to Node's defaults. */
function secureContext({ key, cert, allowTls13 }: BrokerOptions["tls"]): SecureContextOptions {
  return {
    key,
    cert,
    minVersion: "TLSv1.2",
    // Gramine 1.8 (Mbed TLS 3.6.0) takes the session tickets of TLS 1.3, which Node always sends, for a fatal error.
    maxVersion: allowTls13 === true ? "TLSv1.3" : "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    honorCipherOrder: true,
  };
}

function accept(socket: Socket, table: ConnectionTable, options: ListenerOptions, beginTls: () => void): void {
  const connection = table.add(socket, beginTls);
  const { handshakeTimeoutMs, connectionTimeoutMs } = options.limits;
  const handshake = setTimeout(() => {
    if (!connection.isSecure) end(connection, "HANDSHAKE_TIMEOUT");
  }, handshakeTimeoutMs);
  const whole = setTimeout(() => end(connection, "CONNECTION_TIMEOUT"), connectionTimeoutMs);
  // The TLS layer reports what goes wrong on the wire; an error here only means the socket is gone.
  socket.on("error", () => undefined);
  socket.once("close", () => {
    clearTimeout(handshake);
    clearTimeout(whole);
    table.remove(connection);
    if (!connection.isSecure) connection.endedFor ??= "HANDSHAKE_FAILED";
    options.onClosed(connection);
  });
}

function secure(socket: TLSSocket, table: ConnectionTable, options: ListenerOptions): void {
  const connection = table.find(socket);
  if (connection === undefined) {
    socket.destroy();
    return;
  }
  connection.isSecure = true;
  socket.disableRenegotiation();
  socket.setNoDelay(true);
  socket.setTimeout(options.limits.idleTimeoutMs, () => end(connection, "IDLE_TIMEOUT"));
  options.onSecure(socket, connection).catch((error: unknown) => {
    options.onError(error);
    socket.destroy();
  });
}

async function close(server: Server, table: ConnectionTable, graceMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  const timer = setTimeout(() => table.endAll(), graceMs);
  await closed;
  clearTimeout(timer);
}
