/** What a peer may still send, on a connection or on one of its streams. (RFC 9113, section 5.2) */
export class ReceiveWindow {
  readonly #bytes: number;
  #left: number;
  #taken = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#left = bytes;
  }

  /** Bytes have come. False: more than was allowed. */
  receive(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** Bytes need no memory any more. Gives by how much the peer is to be told to go on, which is 0 until half the window is used. */
  take(bytes: number): number {
    this.#taken += bytes;
    if (this.#taken < this.#bytes / 2) return 0;
    const told = this.#taken;
    this.#left += told;
    this.#taken = 0;
    return told;
  }
}
