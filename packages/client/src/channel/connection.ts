import { type ClientHttp2Session, connect, constants, type ClientHttp2Stream } from "node:http2";
import { isIP } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { ATTESTED_H2 } from "@cloister/encoding/connection-evidence";
import { closedAfterHandshake, connectionFailed } from "./handshake-error.ts";
import { openAttested } from "./open-attested.ts";
import type { ChannelOptions } from "./options.ts";
import { plainTlsOptions, tlsTarget } from "./tls-options.ts";

const MIB = 1024 * 1024;
const STREAM_WINDOW_BYTES = 4 * MIB;
const CONNECTION_WINDOW_BYTES = 16 * MIB;
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
/** How long a connected server may be silent before we speak first. */
const SERVER_FIRST_MS = 200;
/** Part of a connection's greatest age over which the ends of connections are spread. */
const AGE_SPREAD = 0.1;

/** One HTTP/2 connection. It is never repaired: when it breaks or is told to go away, the channel makes another. */
export class Connection {
  readonly #session: ClientHttp2Session;
  /** From then on no new call is to be sent; in the terms of `performance.now()`. */
  readonly expiresAt: number;

  private constructor(session: ClientHttp2Session, maxAgeMs: number) {
    this.#session = session;
    this.expiresAt = performance.now() + maxAgeMs * (1 - AGE_SPREAD * Math.random());
  }

  /** Connects, and resolves when TLS and the server's settings are there. Throws UNAVAILABLE, SERVER_NOT_TRUSTED, CLIENT_CERTIFICATE_REFUSED. */
  static async open(options: ChannelOptions): Promise<Connection> {
    const timeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    const socket = await openSocket(options, timeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { host, port } = options.address;
    const authority = `${options.tls === undefined ? "http" : "https"}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    const session = connect(authority, {
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxFrameSize: MIB },
      maxSessionMemory: 64,
      ...(socket !== undefined && { createConnection: () => socket }),
    });
    const timer = setTimeout(() => reject(new Error("connecting took too long")), timeoutMs);
    session.on("error", reject);
    session.on("close", () => reject(new Error("the connection was closed")));
    session.once("remoteSettings", () => resolve());
    try {
      await promise;
    } catch (cause) {
      session.destroy();
      throw connectionFailed(cause);
    } finally {
      clearTimeout(timer);
    }
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    return new Connection(session, options.maxConnectionAgeMs ?? Infinity);
  }

  /** Whether new calls may be sent on it. */
  get isUsable(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  request(headers: Record<string, string>): ClientHttp2Stream {
    return this.#session.request({ [constants.HTTP2_HEADER_METHOD]: "POST", ...headers });
  }

  /** Running calls end first. */
  close(): void {
    this.#session.close();
  }
}

function openSocket(options: ChannelOptions, timeoutMs: number): Promise<TLSSocket> | undefined {
  if (options.tls === undefined) return undefined;
  const { attestation } = options;
  return attestation === undefined
    ? openTls(options, timeoutMs)
    : openAttested(options, attestation, ATTESTED_H2, timeoutMs);
}

/**
 * Handshakes, and waits for the server's first bytes. The certificate is checked before anything is sent. Under TLS 1.3 the
 * server judges the client's certificate after the client is done: only its first bytes, or its alert, tell the verdict, and
 * once HTTP/2 reads from the socket the alert would be lost.
 */
async function openTls(options: ChannelOptions, timeoutMs: number): Promise<TLSSocket> {
  const { host, port, name, tls } = tlsTarget(options);
  const socket = connectTls({ host, port, ...plainTlsOptions(name, tls) });
  socket.setNoDelay(true);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error("connecting took too long")), timeoutMs);
  // A server may legally wait for our first bytes (RFC 9113, section 3.4).
  let patience: NodeJS.Timeout | undefined;
  let shookHands = false;
  const onClose = (): void => reject(shookHands ? closedAfterHandshake() : new Error("the connection was closed"));
  // The end of the stream is "readable" as well.
  const onReadable = (): void => (socket.readableLength > 0 ? resolve() : onClose());
  socket.once("secureConnect", () => {
    shookHands = true;
    patience = setTimeout(resolve, SERVER_FIRST_MS);
  });
  socket.once("readable", onReadable).once("error", reject).once("close", onClose);
  try {
    await promise;
    return socket;
  } catch (cause) {
    socket.destroy();
    throw connectionFailed(cause);
  } finally {
    clearTimeout(timer);
    clearTimeout(patience);
    socket.off("readable", onReadable).off("error", reject).off("close", onClose);
  }
}
