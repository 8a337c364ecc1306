import { DynamicTable, type HeaderField, STATIC_TABLE } from "./hpack-table.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";
import { DEFAULT_HEADER_TABLE_BYTES } from "./protocol.ts";

/** Header names and values, as they are sent. */
export type HeaderRecord = Readonly<Record<string, string | number>>;

const STATIC_INDEX = new Map(STATIC_TABLE.map((field, index) => [keyOf(field), index + 1]));
/** The first of several fields with one name. */
const STATIC_NAME_INDEX = new Map(STATIC_TABLE.map(({ name }, index) => [name, index + 1] as const).toReversed());
/** Values that differ from call to call would only push the others out of the table. */
const VARYING = new Set(["grpc-message", "grpc-timeout", "traceparent", "content-length"]);

/** Writes the header blocks of one direction of a connection, in their order. (RFC 7541) */
export class HpackEncoder {
  #table = new DynamicTable(DEFAULT_HEADER_TABLE_BYTES);
  readonly #addedAt = new Map<string, number>();
  #added = 0;
  #announcedBytes: number | undefined;
  /** Blocks that consist of indices only are the same until something is added. */
  #blocks = new WeakMap<HeaderRecord, Uint8Array>();

  /** What the peer's SETTINGS_HEADER_TABLE_SIZE allows; the next block says what is made of it. */
  allowTable(maxBytes: number): void {
    const bytes = Math.min(maxBytes, DEFAULT_HEADER_TABLE_BYTES);
    if (bytes === this.#table.maxBytes) return;
    // What was in the table is forgotten: sizes are changed when connections begin, if at all.
    this.#table = new DynamicTable(bytes);
    this.#addedAt.clear();
    this.#blocks = new WeakMap();
    this.#announcedBytes = bytes;
  }

  /** The block of a header list. A record that is given again must not have changed. */
  encode(headers: HeaderRecord): Uint8Array {
    const known = this.#blocks.get(headers);
    if (known !== undefined && this.#announcedBytes === undefined) return known;
    const addedBefore = this.#added;
    const bytes: number[] = [];
    if (this.#announcedBytes !== undefined) {
      // To nothing first: both sides drop their fields.
      pushInteger(bytes, 0x20, 5, 0);
      pushInteger(bytes, 0x20, 5, this.#announcedBytes);
    }
    let isVarying = this.#announcedBytes !== undefined;
    this.#announcedBytes = undefined;
    for (const name in headers) {
      this.#encodeField(bytes, { name, value: String(headers[name]) });
      isVarying ||= VARYING.has(name);
    }
    const block = Uint8Array.from(bytes);
    if (this.#added !== addedBefore) this.#blocks = new WeakMap();
    else if (!isVarying) this.#blocks.set(headers, block);
    return block;
  }

  #encodeField(bytes: number[], field: HeaderField): void {
    const index = this.#indexOf(field);
    if (index !== undefined) {
      pushInteger(bytes, 0x80, 7, index);
      return;
    }
    const nameIndex = STATIC_NAME_INDEX.get(field.name) ?? 0;
    const isAdded = !VARYING.has(field.name) && this.#table.maxBytes > 0;
    if (isAdded) pushInteger(bytes, 0x40, 6, nameIndex);
    else pushInteger(bytes, 0x00, 4, nameIndex);
    if (nameIndex === 0) pushString(bytes, field.name);
    pushString(bytes, field.value);
    if (isAdded && this.#table.add(field)) {
      this.#addedAt.set(keyOf(field), this.#added);
      this.#added++;
    }
  }

  #indexOf(field: HeaderField): number | undefined {
    const key = keyOf(field);
    const fixed = STATIC_INDEX.get(key);
    if (fixed !== undefined) return fixed;
    const addedAt = this.#addedAt.get(key);
    if (addedAt === undefined) return undefined;
    const age = this.#added - 1 - addedAt;
    if (age < this.#table.size) return STATIC_TABLE.length + 1 + age;
    this.#addedAt.delete(key);
    return undefined;
  }
}

function keyOf({ name, value }: HeaderField): string {
  return `${name}\0${value}`;
}

/** Section 5.1. */
function pushInteger(bytes: number[], pattern: number, prefixBits: number, value: number): void {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    bytes.push(pattern | value);
    return;
  }
  bytes.push(pattern | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes.push(0x80 | (rest & 0x7f));
  bytes.push(rest);
}

/** Section 5.2: Huffman-coded where that is shorter. */
function pushString(bytes: number[], text: string): void {
  const plain = Buffer.from(text, "latin1");
  const length = huffmanLength(plain);
  if (length < plain.length) {
    pushInteger(bytes, 0x80, 7, length);
    bytes.push(...encodeHuffman(plain));
  } else {
    pushInteger(bytes, 0x00, 7, plain.length);
    bytes.push(...plain);
  }
}
