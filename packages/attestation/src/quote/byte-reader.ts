import { refusal } from "../errors.ts";

/** Takes fixed-size fields off little-endian bytes. Throws `AttestationError` QUOTE_MALFORMED where they run out. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** A view of the next bytes. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw refusal("QUOTE_MALFORMED");
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  skip(length: number): void {
    this.take(length);
  }

  uint16(): number {
    const bytes = this.take(2);
    return (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  }

  uint32(): number {
    const low = this.uint16();
    return low + this.uint16() * 0x10000;
  }

  /** Refuses anything left. */
  end(): void {
    if (this.remaining !== 0) throw refusal("QUOTE_MALFORMED");
  }
}
