/** Bytes that are made only when the message is joined, straight into their place. */
export interface LazyBytes {
  readonly length: number;
  /** Writes all bytes into `target`, which is exactly as long. */
  readonly fill: (target: Uint8Array) => void;
}

/**
 * Writes protobuf messages as a list of chunks that are joined once: a message of 100 MB exists once beside its tensors, where
 * a general library would copy it at each level of nesting. Large byte strings are kept by reference until then.
 */
export class ProtoWriter {
  readonly #chunks: (Uint8Array | LazyBytes)[] = [];
  #small: number[] = [];
  #length = 0;

  get length(): number {
    return this.#length + this.#small.length;
  }

  #varint(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value < 0x80) {
      this.#small.push(value);
      return;
    }
    // Negative numbers are written as 64-bit two's complement.
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.#small.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#small.push(Number(rest));
  }

  #flush(): void {
    if (this.#small.length === 0) return;
    this.#chunks.push(Uint8Array.from(this.#small));
    this.#length += this.#small.length;
    this.#small = [];
  }

  int(field: number, value: number | bigint): this {
    this.#varint(field << 3);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#varint((field << 3) | 5);
    this.#small.push(...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    if (value.length < 64) this.#small.push(...value);
    else {
      this.#flush();
      this.#chunks.push(value);
      this.#length += value.length;
    }
    return this;
  }

  lazyBytes(field: number, value: LazyBytes): this {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    this.#flush();
    this.#chunks.push(value);
    this.#length += value.length;
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  packedInts(field: number, values: readonly (number | bigint)[]): this {
    const packed = new ProtoWriter();
    for (const value of values) packed.#varint(value);
    return this.message(field, packed);
  }

  /** A nested message, complete by now. */
  message(field: number, value: ProtoWriter): this {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    this.#flush();
    value.#flush();
    for (const chunk of value.#chunks) this.#chunks.push(chunk);
    this.#length += value.#length;
    return this;
  }

  finish(): Uint8Array {
    this.#flush();
    const whole = new Uint8Array(this.#length);
    let offset = 0;
    for (const chunk of this.#chunks) {
      if (chunk instanceof Uint8Array) whole.set(chunk, offset);
      else chunk.fill(whole.subarray(offset, offset + chunk.length));
      offset += chunk.length;
    }
    return whole;
  }
}
