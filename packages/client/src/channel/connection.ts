import { type ClientHttp2Session, connect, constants, type ClientHttp2Stream } from "node:http2";
import { isIP } from "node:net";
import { checkServerIdentity, connect as connectTls, type TLSSocket } from "node:tls";
import { callFailed, type ClientError } from "../errors.ts";
import type { ChannelOptions } from "./options.ts";

const MIB = 1024 * 1024;
const STREAM_WINDOW_BYTES = 4 * MIB;
const CONNECTION_WINDOW_BYTES = 16 * MIB;
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** One HTTP/2 connection. It is never repaired: when it breaks or is told to go away, the channel makes another. */
export class Connection {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** Connects, and resolves when TLS and the server's settings are there. Throws UNAVAILABLE. */
  static async open(options: ChannelOptions): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { host, port } = options.address;
    const authority = `${options.tls === undefined ? "http" : "https"}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    const session = connect(authority, {
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxFrameSize: MIB },
      maxSessionMemory: 64,
      ...(options.tls !== undefined && { createConnection: () => openTls(options) }),
    });
    const timeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    const timer = setTimeout(() => reject(new Error("connecting took too long")), timeoutMs);
    session.on("error", reject);
    session.on("close", () => reject(new Error("the connection was closed")));
    session.once("remoteSettings", () => resolve());
    try {
      await promise;
    } catch (cause) {
      session.destroy();
      throw unreachable(cause);
    } finally {
      clearTimeout(timer);
    }
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    return new Connection(session);
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

  destroy(): void {
    this.#session.destroy();
  }
}

/** The certificate is checked before the first byte of HTTP/2: a socket that fails never becomes ready. */
function openTls({ address, tls }: ChannelOptions): TLSSocket {
  const name = tls?.serverName ?? address.host;
  return connectTls({
    host: address.host,
    port: address.port,
    ...(tls?.ca !== undefined && { ca: tls.ca }),
    ...(tls?.cert !== undefined && { cert: tls.cert }),
    ...(tls?.key !== undefined && { key: tls.key }),
    minVersion: "TLSv1.2",
    ALPNProtocols: ["h2"],
    rejectUnauthorized: true,
    // An IP address is no legal server name (RFC 6066, section 3), but it is compared with the certificate's IP entries.
    servername: isIP(name) === 0 ? name : "",
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  });
}

function unreachable(cause: unknown): ClientError {
  return callFailed("UNAVAILABLE", "the server cannot be reached", { cause });
}
