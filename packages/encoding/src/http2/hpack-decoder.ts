import { asBuffer } from "../bytes.ts";
import { DynamicTable, fieldBytes, type HeaderField, STATIC_TABLE } from "./hpack-table.ts";
import { decodeHuffman } from "./huffman.ts";
import { DEFAULT_HEADER_TABLE_BYTES, Http2Error } from "./protocol.ts";

/** Of an integer: five bytes behind the prefix are more than any length or index needs. */
const MAX_INTEGER_SHIFT = 28;

export interface HeaderList {
  readonly fields: readonly HeaderField[];
  /** Beyond the limit: the fields that did not fit are left out. */
  readonly isTooLarge: boolean;
}

/** Reads the header blocks of one direction of a connection, in their order. (RFC 7541) */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxTableBytes: number;
  readonly #maxListBytes: number;
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** A list's bytes are counted as for SETTINGS_MAX_HEADER_LIST_SIZE. */
  constructor(maxListBytes: number, maxTableBytes = DEFAULT_HEADER_TABLE_BYTES) {
    this.#table = new DynamicTable(maxTableBytes);
    this.#maxTableBytes = maxTableBytes;
    this.#maxListBytes = maxListBytes;
  }

  /** One whole block. Throws COMPRESSION_ERROR; no later block can be read then. */
  decode(block: Uint8Array): HeaderList {
    this.#block = block;
    this.#at = 0;
    const fields: HeaderField[] = [];
    let bytes = 0;
    let mayResize = true;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        // Only in front of the fields. (Section 4.2)
        if (!mayResize) throw new Http2Error("COMPRESSION_ERROR", "the table is resized within a block");
        this.#resize(this.#integer(5));
        continue;
      }
      mayResize = false;
      const field = this.#field(first);
      bytes += fieldBytes(field);
      // Fields beyond the limit are read, so that both tables stay equal, but not kept.
      if (bytes <= this.#maxListBytes) fields.push(field);
    }
    return { fields, isTooLarge: bytes > this.#maxListBytes };
  }

  /** Section 6. */
  #field(first: number): HeaderField {
    if ((first & 0x80) !== 0) return this.#indexed(this.#integer(7));
    const isAdded = (first & 0xc0) === 0x40;
    const index = this.#integer(isAdded ? 6 : 4);
    const name = index === 0 ? this.#string() : this.#indexed(index).name;
    const field = { name, value: this.#string() };
    if (isAdded) this.#table.add(field);
    return field;
  }

  #indexed(index: number): HeaderField {
    const field =
      index <= STATIC_TABLE.length ? STATIC_TABLE[index - 1] : this.#table.at(index - STATIC_TABLE.length - 1);
    if (field === undefined) throw new Http2Error("COMPRESSION_ERROR", "an index is in no table");
    return field;
  }

  #resize(bytes: number): void {
    if (bytes > this.#maxTableBytes) throw new Http2Error("COMPRESSION_ERROR", "the table is larger than was allowed");
    this.#table.resize(bytes);
  }

  /** Section 5.1. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (this.#block[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < MAX_INTEGER_SHIFT; shift += 7) {
      const byte = this.#block[this.#at++];
      if (byte === undefined) throw new Http2Error("COMPRESSION_ERROR", "a block ends within a number");
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new Http2Error("COMPRESSION_ERROR", "a number is too long");
  }

  /** Section 5.2. */
  #string(): string {
    const isHuffman = ((this.#block[this.#at] ?? 0) & 0x80) !== 0;
    if (this.#at >= this.#block.length) throw new Http2Error("COMPRESSION_ERROR", "a block ends before a string");
    const length = this.#integer(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw new Http2Error("COMPRESSION_ERROR", "a block ends within a string");
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    return asBuffer(isHuffman ? decodeHuffman(bytes) : bytes).toString("latin1");
  }
}
