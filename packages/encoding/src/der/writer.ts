import { concatBytes, utf8 } from "../bytes.ts";
import { EncodingError } from "../encoding-error.ts";

// Writers of DER (X.690). Each returns one whole element: tag, length, content. What does not fit the type is refused.

const TAG = {
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

const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
const ASCII = /^[\x20-\x7e]*$/;
const DOTTED = /^[0-2](?:\.(?:0|[1-9][0-9]*))+$/;

/** An element with any tag byte. `content` is taken as it is: the caller answers for its form. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return concatBytes(Uint8Array.of(tag), lengthOctets(length), ...content);
}

export function sequence(...items: readonly Uint8Array[]): Uint8Array {
  return element(TAG.sequence, ...items);
}

/** SET OF: DER wants the elements in ascending order of their encodings (X.690, 11.6). */
export function set(...items: readonly Uint8Array[]): Uint8Array {
  return element(TAG.set, ...items.toSorted((a, b) => Buffer.compare(a, b)));
}

/** An INTEGER of any size. A byte string is taken as an unsigned big-endian number, as serial numbers are. */
export function integer(value: bigint | number | Uint8Array): Uint8Array {
  return element(TAG.integer, integerContent(value));
}

export function enumerated(value: bigint | number): Uint8Array {
  return element(TAG.enumerated, integerContent(value));
}

export function boolean(value: boolean): Uint8Array {
  return element(TAG.boolean, Uint8Array.of(value ? 0xff : 0x00));
}

export function nullValue(): Uint8Array {
  return element(TAG.null);
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return element(TAG.octetString, bytes);
}

/** A BIT STRING of whole bytes, or with `unusedBits` (0-7) zero bits at its end. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  const last = bytes.at(-1) ?? 0;
  const fits = bytes.length === 0 ? unusedBits === 0 : unusedBits >= 0 && unusedBits < 8;
  if (!fits || (last & ((1 << unusedBits) - 1)) !== 0) throw notAllowed("unused bits of a BIT STRING are not zero");
  return element(TAG.bitString, Uint8Array.of(unusedBits), bytes);
}

/** A BIT STRING of named bits (X.690, 11.2.2): trailing zero bits are dropped. Bit 0 is the most significant. */
export function namedBits(bits: readonly number[]): Uint8Array {
  const highest = Math.max(-1, ...bits);
  const bytes = new Uint8Array(Math.ceil((highest + 1) / 8));
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(bytes, highest < 0 ? 0 : 7 - (highest & 7));
}

/** An OBJECT IDENTIFIER from dotted text such as "1.2.840.10045.2.1". Arcs may be of any size. */
export function oid(dotted: string): Uint8Array {
  if (!DOTTED.test(dotted)) throw notAllowed("not a dotted object identifier");
  const [first = 0n, second = 0n, ...rest] = dotted.split(".").map(BigInt);
  if (first < 2n && second > 39n) throw notAllowed("second arc of an object identifier is above 39");
  return element(TAG.oid, ...[first * 40n + second, ...rest].map(base128));
}

export function utf8String(text: string): Uint8Array {
  if (!text.isWellFormed()) throw notAllowed("text holds half of a surrogate pair");
  return element(TAG.utf8String, utf8(text));
}

export function printableString(text: string): Uint8Array {
  if (!PRINTABLE.test(text)) throw notAllowed("text does not fit PrintableString");
  return element(TAG.printableString, utf8(text));
}

export function ia5String(text: string): Uint8Array {
  if (!ASCII.test(text)) throw notAllowed("text is not printable ASCII");
  return element(TAG.ia5String, utf8(text));
}

/** UTCTime, YYMMDDhhmmssZ, for the years 1950 to 2049. Milliseconds are cut off. */
export function utcTime(time: Date): Uint8Array {
  const digits = timeDigits(time);
  if (digits < "1950" || digits >= "2050") throw notAllowed("the year does not fit UTCTime");
  return element(TAG.utcTime, utf8(`${digits.slice(2)}Z`));
}

/** GeneralizedTime, YYYYMMDDhhmmssZ. Milliseconds are cut off. */
export function generalizedTime(time: Date): Uint8Array {
  return element(TAG.generalizedTime, utf8(`${timeDigits(time)}Z`));
}

/** Time as X.509 wants it: UTCTime until 2049, GeneralizedTime after (RFC 5280, section 4.1.2.5). */
export function x509Time(time: Date): Uint8Array {
  return timeDigits(time) < "2050" ? utcTime(time) : generalizedTime(time);
}

/** [n] EXPLICIT: wraps whole elements. */
export function contextExplicit(number: number, ...items: readonly Uint8Array[]): Uint8Array {
  return element(contextTag(number) | 0x20, ...items);
}

/** [n] IMPLICIT of a primitive type: `content` replaces the content octets. */
export function contextPrimitive(number: number, content: Uint8Array): Uint8Array {
  return element(contextTag(number), content);
}

function contextTag(number: number): number {
  if (!Number.isInteger(number) || number < 0 || number > 30) throw notAllowed("context tag is not within 0 to 30");
  return 0x80 | number;
}

function lengthOctets(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const bytes = unsignedBytes(BigInt(length));
  return concatBytes(Uint8Array.of(0x80 | bytes.length), bytes);
}

function integerContent(value: bigint | number | Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return unsignedContent(value);
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw notAllowed("a number is not a safe integer");
  const big = BigInt(value);
  if (big >= 0n) return unsignedContent(unsignedBytes(big));
  // Two's complement in the fewest bytes that keep the sign bit.
  let size = 1;
  while (big < -(1n << BigInt(8 * size - 1))) size += 1;
  return unsignedBytes((1n << BigInt(8 * size)) + big);
}

function unsignedContent(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return (trimmed[0] ?? 0) < 0x80 ? trimmed : concatBytes(Uint8Array.of(0), trimmed);
}

function unsignedBytes(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return new Uint8Array(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"));
}

function base128(arc: bigint): Uint8Array {
  const bytes = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.from(bytes);
}

function timeDigits(time: Date): string {
  const year = time.getUTCFullYear();
  if (Number.isNaN(year) || year < 0 || year > 9999) throw notAllowed("not a date within the years 0 to 9999");
  return time.toISOString().slice(0, 19).replaceAll(/[-T:]/g, "");
}

function notAllowed(why: string): EncodingError {
  return new EncodingError("DER_VALUE_NOT_ALLOWED", {
    what: "value not written as DER",
    why,
    remedy: "correct the value before encoding it",
  });
}
