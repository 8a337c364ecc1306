import { derMalformed as malformed } from "./malformed.ts";
import { oidText } from "./oid.ts";
import { EncodingError } from "../encoding-error.ts";

/** Tag bytes of the universal types in use (X.690, 8.1.2), with the constructed bit where DER wants it. */
export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element. Both byte strings are views of the input. */
export interface DerElement {
  /** The identifier byte: class, constructed bit and number. */
  readonly tag: number;
  /** Tag, length and content. */
  readonly raw: Uint8Array;
  readonly content: Uint8Array;
}

/** A BIT STRING of whole or part bytes; the unused bits at its end are zero. */
export interface BitString {
  readonly bytes: Uint8Array;
  readonly unusedBits: number;
}

/** What `readDer` accepts. */
export interface DerLimits {
  /** Bytes of input. Default 1 MiB. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 1 << 20;

/**
 * A reader over the DER bytes of one or more elements (X.690). The caller says which type comes next, so nesting is as deep
 * as the caller's grammar and no deeper. Definite, minimal lengths and one-byte tags only.
 *
 * Throws `EncodingError` DER_TOO_LARGE here, DER_MALFORMED in every method.
 */
export function readDer(bytes: Uint8Array, limits: DerLimits = {}): DerReader {
  if (bytes.length > (limits.maxBytes ?? DEFAULT_MAX_BYTES)) {
    throw new EncodingError("DER_TOO_LARGE", {
      what: "DER refused",
      why: "it is longer than the limit",
      remedy: "check that the right file was given",
    });
  }
  return new DerReader(bytes);
}

export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  /** Use `readDer` for bytes from outside: it limits their length. Reads from `start` to `end`. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** The tag byte of the next element, or `undefined` at the end. */
  peekTag(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** The next element, whatever it is. */
  element(): DerElement {
    const start = this.#at;
    const tag = this.#tag();
    const contentStart = this.#open();
    return { tag, raw: this.#bytes.subarray(start, this.#at), content: this.#bytes.subarray(contentStart, this.#at) };
  }

  /** The content of the next element, which must have this tag. */
  content(tag: number): Uint8Array {
    const start = this.#openTag(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A reader over the content of the next element, which must have this tag. */
  enter(tag: number): DerReader {
    const start = this.#openTag(tag);
    return new DerReader(this.#bytes, start, this.#at);
  }

  /** A reader over the content of an element that was read already; it must have this tag. */
  nested(element: DerElement, tag: number): DerReader {
    if (element.tag !== tag) throw malformed("an element has another type than expected");
    return new DerReader(element.content);
  }

  /** `enter` where the next element has this tag, `undefined` where it has not. */
  enterOptional(tag: number): DerReader | undefined {
    return this.peekTag() === tag ? this.enter(tag) : undefined;
  }

  sequence(): DerReader {
    return this.enter(DER_TAG.sequence);
  }

  boolean(): boolean {
    const start = this.#openTag(DER_TAG.boolean);
    const value = this.#bytes[start];
    if (this.#at !== start + 1 || (value !== 0x00 && value !== 0xff)) throw malformed("a BOOLEAN is not 00 or FF");
    return value === 0xff;
  }

  /** The two's complement content of an INTEGER, minimal. */
  integerBytes(tag: number = DER_TAG.integer): Uint8Array {
    const start = this.#openInteger(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** The magnitude of a non-negative INTEGER, without the sign byte. Zero is one zero byte. */
  unsignedBytes(): Uint8Array {
    const start = this.#openUnsigned(DER_TAG.integer);
    const hasSignByte = this.#bytes[start] === 0 && this.#at > start + 1;
    return this.#bytes.subarray(hasSignByte ? start + 1 : start, this.#at);
  }

  /** A non-negative INTEGER (or ENUMERATED, by `tag`) of at most `max` (up to 2^31 - 1). */
  unsigned(max: number, tag: number = DER_TAG.integer): number {
    const start = this.#openUnsigned(tag);
    if (this.#at - start > 5) throw malformed("an INTEGER is out of range");
    let value = 0;
    for (let at = start; at < this.#at; at += 1) value = value * 256 + (this.#bytes[at] ?? 0);
    if (value > max) throw malformed("an INTEGER is out of range");
    return value;
  }

  octetString(): Uint8Array {
    return this.content(DER_TAG.octetString);
  }

  bitString(): BitString {
    const content = this.content(DER_TAG.bitString);
    const unusedBits = content[0];
    const bytes = content.subarray(1);
    if (unusedBits === undefined || unusedBits > 7 || (unusedBits > 0 && bytes.length === 0)) {
      throw malformed("a BIT STRING has a wrong count of unused bits");
    }
    if (((bytes.at(-1) ?? 0) & ((1 << unusedBits) - 1)) !== 0)
      throw malformed("unused bits of a BIT STRING are not zero");
    return { bytes, unusedBits };
  }

  /** A BIT STRING of whole bytes, as keys and signatures are. */
  wholeBitString(): Uint8Array {
    const { bytes, unusedBits } = this.bitString();
    if (unusedBits !== 0) throw malformed("a BIT STRING does not end on a byte");
    return bytes;
  }

  null(): void {
    const start = this.#openTag(DER_TAG.null);
    if (this.#at !== start) throw malformed("a NULL is not empty");
  }

  /** An OBJECT IDENTIFIER as dotted text. */
  oid(): string {
    const start = this.#openTag(DER_TAG.oid);
    return oidText(this.#bytes, start, this.#at);
  }

  /** Refuses anything left. Every reader ends with it. */
  end(): void {
    if (!this.atEnd) throw malformed("bytes are left after the last element");
  }

  #openUnsigned(tag: number): number {
    const start = this.#openInteger(tag);
    if ((this.#bytes[start] ?? 0) >= 0x80) throw malformed("an INTEGER is negative");
    return start;
  }

  #openInteger(tag: number): number {
    const start = this.#openTag(tag);
    if (this.#at === start) throw malformed("an INTEGER is empty");
    if (this.#at === start + 1) return start;
    const first = this.#bytes[start];
    const second = this.#bytes[start + 1] ?? 0;
    const isPadded = (first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80);
    if (isPadded) throw malformed("an INTEGER is not minimal");
    return start;
  }

  /** Steps over the next element, which must have this tag. Where its content starts; it ends where the reader is. */
  #openTag(tag: number): number {
    if (this.#tag() !== tag) throw malformed("an element has another type than expected");
    return this.#open();
  }

  #tag(): number {
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw malformed("a tag is longer than one byte");
    return tag;
  }

  /** Steps over length and content of an element whose tag was read. Where the content starts. */
  #open(): number {
    const length = this.#length();
    const start = this.#at;
    if (length > this.#end - start) throw malformed("a length reaches beyond the data");
    this.#at = start + length;
    return start;
  }

  #byte(): number {
    const byte = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (byte === undefined) throw malformed("the data ends inside an element");
    this.#at += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw malformed("a length is indefinite or longer than four bytes");
    let length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (count - 1)) throw malformed("a length is not minimal");
    return length;
  }
}
