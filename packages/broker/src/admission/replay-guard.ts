/** Served keys remembered at most. At one replica start a second this is more than a day. */
const DEFAULT_CAPACITY = 100_000;

/**
 * Remembers the RA-TLS keys that were served. A certificate cannot be used without its key, so this is not what stops a
 * captured certificate; it limits what a key stolen from an enclave is good for, and makes a second use of it visible.
 * A replica that starts again makes a new key, so honest ones are never refused. When full, the oldest are forgotten:
 * by then the age limit of the certificate has to hold.
 */
export class ReplayGuard {
  readonly #capacity: number;
  readonly #served = new Set<string>();
  readonly #reserved = new Set<string>();

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  /** Notes a key as served. */
  add(publicKeySha256: string): void {
    this.#reserved.delete(publicKeySha256);
    this.#served.add(publicKeySha256);
    if (this.#served.size <= this.#capacity) return;
    const [oldest] = this.#served;
    if (oldest !== undefined) this.#served.delete(oldest);
  }

  /** Claims the key for one release in progress. False when it was served or is being served on another connection. */
  reserve(publicKeySha256: string): boolean {
    if (this.#served.has(publicKeySha256) || this.#reserved.has(publicKeySha256)) return false;
    this.#reserved.add(publicKeySha256);
    return true;
  }

  /** Gives the claim back: nothing was released. */
  cancel(publicKeySha256: string): void {
    this.#reserved.delete(publicKeySha256);
  }
}
