import { callError } from "../errors.ts";

const CODE = {
  quote: 0x22,
  comma: 0x2c,
  minus: 0x2d,
  dot: 0x2e,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  openArray: 0x5b,
  backslash: 0x5c,
  closeArray: 0x5d,
  openObject: 0x7b,
  closeObject: 0x7d,
} as const;

const POWERS = Array.from({ length: 61 }, (_, exponent) => Number(`1e${exponent}`));
/** Up to here a double holds powers of ten exactly. */
const MAX_EXACT_POWER = 22;
const MAX_EXACT_DIGITS = 15;
/** With so many digits a mantissa is off by 2^-53 for each operation behind the fifteenth, and a power and a division add as much. */
const MAX_NEAR_DIGITS = 30;
const NEAR_ERROR = 2 ** -46;
const MAX_DEPTH = 256;
/** Error texts quote no more of the offending JSON. */
const MAX_QUOTED_BYTES = 256;

export type JsonKind = "object" | "array" | "string" | "number" | "true" | "false" | "null";

/** A number as it stands in the text: integers keep all their digits. */
export interface NumberToken {
  readonly text: string;
  readonly isInteger: boolean;
}

/**
 * Pulls values out of JSON text one by one, without making arrays or objects of them. As the parser that TensorFlow Serving uses, it takes
 * NaN and Infinity (bare, with a sign, or as Inf) for numbers, and does not look at what follows the value it was asked for.
 * Throws INVALID_ARGUMENT.
 */
export class JsonReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#at;
  }

  /** Goes back, or forward, to where a value begins. */
  seek(position: number): void {
    this.#at = position;
    this.#depth = 0;
  }

  /** What kind of value comes next. */
  peek(): JsonKind {
    this.#skipSpace();
    switch (this.#bytes[this.#at]) {
      case CODE.openObject:
        return "object";
      case CODE.openArray:
        return "array";
      case CODE.quote:
        return "string";
      case 0x74:
        return "true";
      case 0x66:
        return "false";
      case 0x6e:
        return "null";
      case undefined:
        throw this.#error(this.#bytes.length === 0 || this.#at === 0 ? "The document is empty." : "Invalid value.");
      default:
        return "number";
    }
  }

  enterObject(): void {
    this.#enter(CODE.openObject, "an object");
  }

  enterArray(): void {
    this.#enter(CODE.openArray, "a list");
  }

  /** The next name of an object, or `undefined` at its end. `isFirst` says that none was read before. */
  nextName(isFirst: boolean): string | undefined {
    this.#skipSpace();
    if (this.#leaveAt(CODE.closeObject)) return undefined;
    if (!isFirst) this.#take(CODE.comma, "Missing a comma or } after an object member.");
    this.#skipSpace();
    if (this.#bytes[this.#at] !== CODE.quote) throw this.#error("Missing a name for object member.");
    const name = this.readString();
    this.#skipSpace();
    this.#take(CODE.colon, "Missing a colon after a name of object member.");
    return name;
  }

  /** Whether another item of a list follows. `isFirst` says that none was read before. */
  nextItem(isFirst: boolean): boolean {
    this.#skipSpace();
    if (this.#leaveAt(CODE.closeArray)) return false;
    if (!isFirst) this.#take(CODE.comma, "Missing a comma or ] after an array element.");
    return true;
  }

  /** A string's text. */
  readString(): string {
    const start = this.#at;
    this.#skipString();
    const raw = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, this.#at - start);
    if (raw.includes(CODE.backslash)) {
      try {
        return JSON.parse(raw.toString()) as string;
      } catch {
        throw this.#error("Invalid escape character in string.");
      }
    }
    return raw.toString("utf8", 1, raw.length - 1);
  }

  readWord(word: "true" | "false" | "null"): void {
    for (let index = 0; index < word.length; index++) {
      if (this.#bytes[this.#at + index] !== word.charCodeAt(index)) throw this.#error("Invalid value.");
    }
    this.#at += word.length;
  }

  /** A number as the nearest double. Most take a path without any text: up to 15 digits and a small exponent are exact. */
  readDouble(): number {
    return this.#readNumber(false);
  }

  /** A number that rounds to the same float (of 32 bits) as the nearest double does; quicker for numbers with more digits. */
  readFloat(): number {
    return this.#readNumber(true);
  }

  #readNumber(isFloat: boolean): number {
    const bytes = this.#bytes;
    const start = this.#at;
    const isNegative = bytes[start] === CODE.minus;
    const first = isNegative ? start + 1 : start;
    let at = first;
    let mantissa = 0;
    let digits = 0;
    for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, ++at)) {
      mantissa = mantissa * 10 + digit;
      if (mantissa > 0) digits++;
    }
    this.#at = at;
    if (at === first) return this.#readWordNumber(start, isNegative);
    this.#checkLeadingZero(first);
    let scale = 0;
    if (bytes[at] === CODE.dot) {
      const point = ++at;
      for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, ++at)) {
        mantissa = mantissa * 10 + digit;
        if (mantissa > 0) digits++;
      }
      this.#at = at;
      if (at === point) throw this.#error("Miss fraction part in number.");
      scale = point - at;
    }
    scale += this.#readExponent();
    if (digits <= MAX_EXACT_DIGITS && scale >= -MAX_EXACT_POWER && scale <= MAX_EXACT_POWER) {
      const value = scale < 0 ? mantissa / (POWERS[-scale] ?? 1) : mantissa * (POWERS[scale] ?? 1);
      return isNegative ? -value : value;
    }
    if (isFloat && digits <= MAX_NEAR_DIGITS && scale < 0 && scale > -POWERS.length) {
      const value = mantissa / (POWERS[-scale] ?? 1);
      // Not exact; but what is within the error rounds to one float.
      if (Math.fround(value * (1 - NEAR_ERROR)) === Math.fround(value * (1 + NEAR_ERROR)))
        return isNegative ? -value : value;
    }
    const value = Number(this.#text(start, this.#at));
    if (!Number.isFinite(value)) throw this.#error("Number too big to be stored in double.");
    return value;
  }

  /** An integer of at most 15 digits; `undefined` for any other number, which is then not read yet. */
  readShortInteger(): number | undefined {
    const bytes = this.#bytes;
    const isNegative = bytes[this.#at] === CODE.minus;
    const first = isNegative ? this.#at + 1 : this.#at;
    let at = first;
    let value = 0;
    for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, ++at)) value = value * 10 + digit;
    const next = bytes[at] ?? 0;
    const isOther = next === CODE.dot || (next | 0x20) === 0x65 || (bytes[first] === CODE.zero && at > first + 1);
    if (at === first || at > first + MAX_EXACT_DIGITS || isOther) return undefined;
    this.#at = at;
    return isNegative ? -value : value;
  }

  /** A number with its digits. */
  readNumber(): NumberToken {
    const start = this.#at;
    this.readDouble();
    const text = this.#text(start, this.#at);
    return { text, isInteger: /^-?\d+$/.test(text) };
  }

  /** Steps over any value. Its brackets and strings are followed; what is between them is not looked at. */
  skipValue(): void {
    const kind = this.peek();
    if (kind === "string") this.#skipString();
    else if (kind === "object" || kind === "array") this.#skipBrackets();
    else if (kind === "number") this.readDouble();
    else this.readWord(kind);
  }

  /** The text of the value that begins at `start`, cut to what an error may quote. */
  quote(start: number): string {
    return this.#text(start, Math.min(this.#at, start + MAX_QUOTED_BYTES));
  }

  #skipBrackets(): void {
    const bytes = this.#bytes;
    let depth = 0;
    for (let at = this.#at; at < bytes.length; at++) {
      const code = bytes[at] as number;
      // Digits, commas and points are most of it.
      if (code > CODE.quote && code < CODE.openArray) continue;
      if (code === CODE.quote) {
        this.#at = at;
        this.#skipString();
        at = this.#at - 1;
      } else if (code === CODE.openArray || code === CODE.openObject) depth++;
      else if (code === CODE.closeArray || code === CODE.closeObject) depth--;
      if (depth === 0) {
        this.#at = at + 1;
        return;
      }
    }
    this.#at = bytes.length;
    throw this.#error("Missing a comma or ] after an array element.");
  }

  #readWordNumber(start: number, isNegative: boolean): number {
    for (const word of ["Infinity", "Inf", "NaN"]) {
      if (this.#text(this.#at, this.#at + word.length) !== word) continue;
      this.#at += word.length;
      if (word === "NaN") return Number.NaN;
      return isNegative ? -Infinity : Infinity;
    }
    this.#at = start;
    throw this.#error("Invalid value.");
  }

  #checkLeadingZero(start: number): void {
    if (this.#bytes[start] === CODE.zero && this.#at > start + 1) {
      this.#at = start + 1;
      throw this.#error("Missing a comma or ] after an array element.");
    }
  }

  #readExponent(): number {
    if (((this.#bytes[this.#at] ?? 0) | 0x20) !== 0x65) return 0;
    this.#at++;
    const sign = this.#bytes[this.#at];
    if (sign === CODE.minus || sign === 0x2b) this.#at++;
    if (!this.#isDigit(this.#bytes[this.#at])) throw this.#error("Miss exponent in number.");
    let exponent = 0;
    for (let code = this.#bytes[this.#at]; this.#isDigit(code); code = this.#bytes[this.#at]) {
      exponent = Math.min(exponent * 10 + (code as number) - CODE.zero, 1_000_000);
      this.#at++;
    }
    return sign === CODE.minus ? -exponent : exponent;
  }

  #isDigit(code: number | undefined): boolean {
    return code !== undefined && code >= CODE.zero && code <= CODE.nine;
  }

  #skipString(): void {
    for (this.#at++; this.#at < this.#bytes.length; this.#at++) {
      const code = this.#bytes[this.#at] as number;
      if (code === CODE.quote) {
        this.#at++;
        return;
      }
      if (code < 0x20) throw this.#error("Invalid encoding in string.");
      if (code === CODE.backslash) this.#at++;
    }
    throw this.#error("Missing a closing quotation mark in string.");
  }

  #enter(code: number, what: string): void {
    this.#skipSpace();
    if (this.#bytes[this.#at] !== code) throw this.#error(`Expected ${what}.`);
    if (++this.#depth > MAX_DEPTH) throw this.#error("Lists and objects are nested too deep.");
    this.#at++;
  }

  #leaveAt(code: number): boolean {
    if (this.#bytes[this.#at] !== code) return false;
    this.#at++;
    this.#depth--;
    return true;
  }

  #take(code: number, complaint: string): void {
    if (this.#bytes[this.#at] !== code) throw this.#error(complaint);
    this.#at++;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#bytes[this.#at];
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #text(start: number, end: number): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length).toString("utf8", start, end);
  }

  #error(text: string): Error {
    return callError("INVALID_ARGUMENT", `JSON Parse error: ${text} at offset: ${this.#at}`);
  }
}

/** The digit at a place, or -1 where there is none. */
function digitAt(bytes: Uint8Array, at: number): number {
  const digit = (bytes[at] ?? 0) - CODE.zero;
  return digit >= 0 && digit <= 9 ? digit : -1;
}
