import { concatBytes, fromUtf8, utf8 } from "./bytes.ts";
import { EncodingError } from "./encoding-error.ts";

/** A tagged item (RFC 8949, section 3.4). */
export interface CborTagged {
  readonly tag: number;
  readonly value: CborValue;
}

/**
 * The subset this project uses: integers within the safe range, byte and text strings, arrays, maps with text or integer
 * keys, tags, booleans and null. No floats, no indefinite lengths, no undefined.
 */
export type CborValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<string | number, CborValue>
  | CborTagged;

export interface CborLimits {
  /** Default 64 KiB. */
  readonly maxBytes?: number;
  /** Nested arrays, maps and tags. Default 8. */
  readonly maxDepth?: number;
}

/** Major types (RFC 8949, section 3.1). */
const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;
const FALSE = 20;
const TRUE = 21;
const NULL = 22;

/** Core deterministic encoding (RFC 8949, section 4.2.1): shortest lengths, map keys sorted by their encoded bytes. */
export function encodeCbor(value: CborValue): Uint8Array {
  if (value === null) return head(MAJOR.simple, NULL);
  if (typeof value === "boolean") return head(MAJOR.simple, value ? TRUE : FALSE);
  if (typeof value === "number") return encodeInteger(value);
  if (typeof value === "string") return withBytes(MAJOR.text, utf8(value));
  if (value instanceof Uint8Array) return withBytes(MAJOR.bytes, value);
  if (value instanceof Map) return encodeMap(value as ReadonlyMap<string | number, CborValue>);
  if (Array.isArray(value)) {
    const items = value as readonly CborValue[];
    return concatBytes(head(MAJOR.array, items.length), ...items.map(encodeCbor));
  }
  const tagged = value as CborTagged;
  return concatBytes(head(MAJOR.tag, tagged.tag), encodeCbor(tagged.value));
}

function encodeInteger(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) throw refused("CBOR_TYPE_NOT_ALLOWED", "a number is not a safe integer");
  return value < 0 ? head(MAJOR.negative, -1 - value) : head(MAJOR.unsigned, value);
}

function encodeMap(map: ReadonlyMap<string | number, CborValue>): Uint8Array {
  const entries = Array.from(map, ([key, value]) => ({ key: encodeCbor(key), value: encodeCbor(value) }));
  entries.sort((a, b) => Buffer.compare(a.key, b.key));
  return concatBytes(head(MAJOR.map, map.size), ...entries.flatMap(({ key, value }) => [key, value]));
}

function withBytes(major: number, bytes: Uint8Array): Uint8Array {
  return concatBytes(head(major, bytes.length), bytes);
}

/** Initial byte and argument in the shortest form. */
function head(major: number, argument: number): Uint8Array {
  const top = major << 5;
  if (argument < 24) return Uint8Array.of(top | argument);
  if (argument < 0x100) return Uint8Array.of(top | 24, argument);
  const bytes = new Uint8Array(argument < 0x10000 ? 3 : argument < 0x100000000 ? 5 : 9);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 3) view.setUint16(1, argument);
  else if (bytes.length === 5) view.setUint32(1, argument);
  else view.setBigUint64(1, BigInt(argument));
  bytes[0] = top | (bytes.length === 3 ? 25 : bytes.length === 5 ? 26 : 27);
  return bytes;
}

/**
 * Decodes one item and refuses every form but the deterministic one: longer lengths than needed, unsorted or repeated keys,
 * indefinite lengths, floats, trailing bytes. Byte strings are copies.
 *
 * Throws `EncodingError` with CBOR_TOO_LARGE, CBOR_TOO_DEEP, CBOR_TYPE_NOT_ALLOWED, CBOR_NOT_CANONICAL or CBOR_MALFORMED.
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits = {}): CborValue {
  if (bytes.length > (limits.maxBytes ?? 1 << 16)) throw refused("CBOR_TOO_LARGE", "longer than the limit");
  const reader = new Reader(bytes, limits.maxDepth ?? 8);
  const value = reader.item(0);
  if (!reader.atEnd) throw refused("CBOR_MALFORMED", "bytes follow the item");
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #maxDepth: number;
  #at = 0;

  constructor(bytes: Uint8Array, maxDepth: number) {
    this.#bytes = bytes;
    this.#maxDepth = maxDepth;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  item(depth: number): CborValue {
    const { major, argument } = this.#head();
    if (major >= MAJOR.array && major <= MAJOR.tag && depth >= this.#maxDepth) {
      throw refused("CBOR_TOO_DEEP", "items are nested deeper than the limit");
    }
    switch (major) {
      case MAJOR.unsigned:
        return argument;
      case MAJOR.negative:
        return this.#negative(argument);
      case MAJOR.bytes:
        return this.#take(argument).slice();
      case MAJOR.text:
        return this.#text(argument);
      case MAJOR.array:
        return this.#array(argument, depth + 1);
      case MAJOR.map:
        return this.#map(argument, depth + 1);
      case MAJOR.tag:
        return { tag: argument, value: this.item(depth + 1) };
      default:
        return simple(argument);
    }
  }

  #head(): { major: number; argument: number } {
    const initial = this.#take(1)[0] ?? 0;
    const major = initial >> 5;
    const info = initial & 31;
    if (info < 24) return { major, argument: info };
    if (info > 27) throw refused("CBOR_TYPE_NOT_ALLOWED", "indefinite length or reserved form");
    // In major type 7 these forms are floats and rare simple values.
    if (major === MAJOR.simple) throw refused("CBOR_TYPE_NOT_ALLOWED", "float or unassigned simple value");
    const size = 1 << (info - 24);
    const argument = unsigned(this.#take(size));
    const least = size === 1 ? 24 : 2 ** (4 * size);
    if (argument < least) throw refused("CBOR_NOT_CANONICAL", "a number is not in its shortest form");
    return { major, argument };
  }

  #negative(argument: number): number {
    const value = -1 - argument;
    if (!Number.isSafeInteger(value)) throw refused("CBOR_TYPE_NOT_ALLOWED", "an integer is outside the safe range");
    return value;
  }

  #text(length: number): string {
    const text = fromUtf8(this.#take(length));
    if (text === undefined) throw refused("CBOR_MALFORMED", "a text string is not UTF-8");
    return text;
  }

  #array(count: number, depth: number): readonly CborValue[] {
    const items: CborValue[] = [];
    // Each item takes at least a byte, so the loop ends with the input whatever `count` says.
    for (let index = 0; index < count; index += 1) items.push(this.item(depth));
    return items;
  }

  #map(count: number, depth: number): ReadonlyMap<string | number, CborValue> {
    const map = new Map<string | number, CborValue>();
    let previous: Uint8Array | undefined;
    for (let index = 0; index < count; index += 1) {
      const start = this.#at;
      const key = this.item(depth);
      if (typeof key !== "string" && typeof key !== "number") {
        throw refused("CBOR_TYPE_NOT_ALLOWED", "a map key is neither text nor integer");
      }
      const encoded = this.#bytes.subarray(start, this.#at);
      if (previous !== undefined && Buffer.compare(previous, encoded) >= 0) {
        throw refused("CBOR_NOT_CANONICAL", "map keys are repeated or not in order");
      }
      previous = encoded;
      map.set(key, this.item(depth));
    }
    return map;
  }

  #take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) throw refused("CBOR_MALFORMED", "the item is cut short");
    const part = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return part;
  }
}

function unsigned(bytes: Uint8Array): number {
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  if (!Number.isSafeInteger(value)) throw refused("CBOR_TYPE_NOT_ALLOWED", "an integer is outside the safe range");
  return value;
}

function simple(argument: number): boolean | null {
  if (argument === FALSE) return false;
  if (argument === TRUE) return true;
  if (argument === NULL) return null;
  throw refused("CBOR_TYPE_NOT_ALLOWED", "unassigned simple value or undefined");
}

function refused(
  code: "CBOR_TOO_LARGE" | "CBOR_TOO_DEEP" | "CBOR_TYPE_NOT_ALLOWED" | "CBOR_NOT_CANONICAL" | "CBOR_MALFORMED",
  why: string,
): EncodingError {
  return new EncodingError(code, {
    what: "CBOR refused",
    why,
    remedy: "send deterministic CBOR (RFC 8949, section 4.2.1)",
  });
}
