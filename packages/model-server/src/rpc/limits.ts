/** What one server gives to clients at most. All are per server unless the name says otherwise. */
export interface RpcLimits {
  /** Largest request message, before and after decompression. TensorFlow Serving's own limit is 2^31 - 1. */
  readonly maxMessageBytes: number;
  /** Request and response bytes that all calls together may hold. A call that would go beyond is refused. */
  readonly maxBufferedBytes: number;
  readonly maxConnections: number;
  readonly maxStreamsPerConnection: number;
  readonly maxHeaderBytes: number;
  readonly tlsHandshakeMs: number;
  /** How long a stream may stand still: a client that neither sends nor reads is cut off. */
  readonly idleStreamMs: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: RpcLimits = {
  maxMessageBytes: 64 * MIB,
  maxBufferedBytes: 512 * MIB,
  maxConnections: 10_000,
  maxStreamsPerConnection: 256,
  maxHeaderBytes: 16 * 1024,
  tlsHandshakeMs: 10_000,
  idleStreamMs: 60_000,
};

/** Counts the bytes that calls hold. */
export class BufferBudget {
  readonly #maxBytes: number;
  readonly #gauge: { set(value: number): void } | undefined;
  #heldBytes = 0;

  /** `gauge` is told the sum after each change. */
  constructor(maxBytes: number, gauge?: { set(value: number): void }) {
    this.#maxBytes = maxBytes;
    this.#gauge = gauge;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes `bytes`, or nothing where they are not left. */
  tryTake(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#maxBytes) return false;
    this.#heldBytes += bytes;
    this.#gauge?.set(this.#heldBytes);
    return true;
  }

  giveBack(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#gauge?.set(this.#heldBytes);
  }
}
