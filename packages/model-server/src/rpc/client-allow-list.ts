import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/**
 * Which clients may call, by the alternative names of their certificates: `DNS:name`, `URI:uri`, `email:address` or
 * `IP Address:address`, compared as they are. The handshake has verified the certificate before.
 */
export class ClientAllowList {
  readonly #names: ReadonlySet<string>;
  readonly #decisions = new WeakMap<TLSSocket, boolean>();

  constructor(names: readonly string[]) {
    this.#names = new Set(names);
  }

  /** Decided once for a connection. A connection without TLS has no name, and may not call. */
  mayCall(socket: TLSSocket | undefined): boolean {
    if (socket === undefined) return false;
    const known = this.#decisions.get(socket);
    if (known !== undefined) return known;
    const isAllowed = this.#isNamed(socket);
    this.#decisions.set(socket, isAllowed);
    return isAllowed;
  }

  #isNamed(socket: TLSSocket): boolean {
    const raw = socket.authorized ? (socket.getPeerCertificate(false) as { raw?: Buffer }).raw : undefined;
    const text = raw === undefined ? "" : (new X509Certificate(raw).subjectAltName ?? "");
    // A name with separators in it is shown in quotes: taken apart it could look like another.
    if (text.includes('"')) return false;
    return text.split(", ").some((name) => this.#names.has(name));
  }
}
