import { EncodingError } from "../encoding-error.ts";

/** A parsed JSON value. Objects have no prototype, so no name in them can reach `Object.prototype`. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject;
export type JsonArray = readonly JsonValue[];
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

export interface StrictJsonLimits {
  /** UTF-16 units of text. Default 1 MiB. */
  readonly maxLength?: number;
  /** Nested arrays and objects. Default 32. */
  readonly maxDepth?: number;
  /** Accept fractions, exponents and integers outside the safe range (as the nearest double). Default false. */
  readonly allowAnyNumber?: boolean;
}

const DEFAULT_MAX_LENGTH = 1 << 20;
const DEFAULT_MAX_DEPTH = 32;

// UTF-16 units that the grammar of RFC 8259 names.
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const LOWER_E = 0x65;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const LOWER_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

/** A power of two. */
const NAME_SLOTS = 64;

/** A sum of this many digits is exact. */
const EXACT_DIGITS = 15;

const FOUR_HEX_DIGITS = /^[0-9a-fA-F]{4}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Parses JSON text (RFC 8259) and refuses what parsers disagree about: duplicate names, lone surrogates, numbers that a
 * double cannot hold exactly, deep nesting, anything after the value.
 *
 * Throws `EncodingError` with JSON_TOO_LARGE, JSON_TOO_DEEP, JSON_DUPLICATE_NAME, JSON_NUMBER_NOT_ALLOWED or
 * JSON_MALFORMED. Time is linear in the length.
 */
export function parseStrictJson(text: string, limits: StrictJsonLimits = {}): JsonValue {
  if (text.length > (limits.maxLength ?? DEFAULT_MAX_LENGTH)) {
    throw refused("JSON_TOO_LARGE", "the text is longer than the limit");
  }
  const parser = new Parser(text, limits.maxDepth ?? DEFAULT_MAX_DEPTH, limits.allowAnyNumber ?? false);
  return parser.document();
}

/** One pass over the UTF-16 units. `NaN` stands for the end of the text: it equals no unit and is in no range. */
class Parser {
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #allowAnyNumber: boolean;
  /** Names met before, by a hash of their units: documents repeat a few, and a new string is slow as a key. */
  readonly #names: (string | undefined)[] = Array.from({ length: NAME_SLOTS }, () => undefined);
  #at = 0;

  constructor(text: string, maxDepth: number, allowAnyNumber: boolean) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#allowAnyNumber = allowAnyNumber;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#next();
    if (this.#at !== this.#text.length) throw malformed("bytes follow the value");
    return value;
  }

  #value(depth: number): JsonValue {
    switch (this.#next()) {
      case OPEN_OBJECT:
        return this.#object(depth + 1);
      case OPEN_ARRAY:
        return this.#array(depth + 1);
      case QUOTE:
        return this.#string();
      case LOWER_T:
        return this.#word("true", true);
      case LOWER_F:
        return this.#word("false", false);
      case LOWER_N:
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    this.#enter(depth);
    const object = Object.create(null) as Record<string, JsonValue>;
    if (this.#takeIf(CLOSE_OBJECT)) return object;
    do {
      if (this.#next() !== QUOTE) throw malformed("a string was expected");
      const name = this.#name();
      if (name in object) throw refused("JSON_DUPLICATE_NAME", "an object has the same name twice");
      this.#take(COLON);
      object[name] = this.#value(depth);
    } while (this.#takeIf(COMMA));
    this.#take(CLOSE_OBJECT);
    return object;
  }

  #array(depth: number): JsonArray {
    this.#enter(depth);
    const items: JsonValue[] = [];
    if (this.#takeIf(CLOSE_ARRAY)) return items;
    do items.push(this.#value(depth));
    while (this.#takeIf(COMMA));
    this.#take(CLOSE_ARRAY);
    return items;
  }

  #enter(depth: number): void {
    if (depth > this.#maxDepth) throw refused("JSON_TOO_DEEP", "arrays and objects are nested deeper than the limit");
    this.#at += 1;
  }

  /** The string that begins here, the same one where it came before. */
  #name(): string {
    const start = this.#at + 1;
    let hash = 0;
    let at = start;
    let unit = this.#text.charCodeAt(at);
    while (unit >= SPACE && unit !== QUOTE && unit !== BACKSLASH) {
      hash = (Math.imul(hash, 31) + unit) & (NAME_SLOTS - 1);
      at += 1;
      unit = this.#text.charCodeAt(at);
    }
    const known = this.#names[hash];
    if (unit === QUOTE && known?.length === at - start && this.#text.startsWith(known, start)) {
      this.#at = at + 1;
      return known;
    }
    return (this.#names[hash] = this.#string());
  }

  /** The string that begins here. */
  #string(): string {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    let hasSurrogate = false;
    for (;;) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) break;
      if (unit === BACKSLASH) return this.#escapedString(start, at);
      if (!(unit >= SPACE)) throw malformed("a string is not closed or holds a control character");
      if (unit >= FIRST_SURROGATE && unit <= LAST_SURROGATE) hasSurrogate = true;
      at += 1;
    }
    this.#at = at + 1;
    const value = text.slice(start, at);
    return hasSurrogate ? wellFormed(value) : value;
  }

  /** A string from `start` whose first escape is at `firstEscape`. */
  #escapedString(start: number, firstEscape: number): string {
    const parts: string[] = [];
    let plainFrom = start;
    this.#at = firstEscape;
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (!(unit >= SPACE)) throw malformed("a string is not closed or holds a control character");
      if (unit === QUOTE || unit === BACKSLASH) parts.push(this.#text.slice(plainFrom, this.#at));
      this.#at += 1;
      if (unit === QUOTE) return wellFormed(parts.join(""));
      if (unit === BACKSLASH) {
        parts.push(this.#escape());
        plainFrom = this.#at;
      }
    }
  }

  #escape(): string {
    const isUnicode = this.#text.charCodeAt(this.#at) === LOWER_U;
    const letter = this.#text.charAt(this.#at);
    this.#at += 1;
    if (!isUnicode) {
      const plain = ESCAPES.get(letter);
      if (plain === undefined) throw malformed("unknown escape in a string");
      return plain;
    }
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!FOUR_HEX_DIGITS.test(digits)) throw malformed("a \\u escape without four digits");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #number(): number {
    const start = this.#at;
    const isNegative = this.#text.charCodeAt(start) === MINUS;
    if (isNegative) this.#at += 1;
    const whole = this.#wholePart();
    const digits = this.#at - start - (isNegative ? 1 : 0);
    const isInteger = !this.#skipFraction() && !this.#skipExponent();
    // Numbers of quotes and collateral are short: their digits are summed up on the way.
    if (isInteger && digits <= EXACT_DIGITS && !isNegative) return whole;
    const value = Number(this.#text.slice(start, this.#at));
    const isExact = isInteger && Number.isSafeInteger(value) && !Object.is(value, -0);
    if (!isExact && !(this.#allowAnyNumber && Number.isFinite(value))) {
      throw refused("JSON_NUMBER_NOT_ALLOWED", "a number is not an integer within +-(2^53 - 1)");
    }
    return value;
  }

  /** Skips digits without a leading zero, at least one. Their sum, which is exact up to `EXACT_DIGITS`. */
  #wholePart(): number {
    let digit = this.#text.charCodeAt(this.#at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) throw malformed("a value was expected");
    this.#at += 1;
    if (digit === 0) return 0;
    let sum = 0;
    while (digit >= 0 && digit <= 9) {
      sum = sum * 10 + digit;
      digit = this.#text.charCodeAt(this.#at) - ZERO;
      this.#at += 1;
    }
    this.#at -= 1;
    return sum;
  }

  #skipFraction(): boolean {
    if (this.#text.charCodeAt(this.#at) !== POINT) return false;
    this.#at += 1;
    this.#skipDigits();
    this.#skipExponent();
    return true;
  }

  #skipExponent(): boolean {
    const unit = this.#text.charCodeAt(this.#at);
    if (unit !== LOWER_E && unit !== UPPER_E) return false;
    this.#at += 1;
    const sign = this.#text.charCodeAt(this.#at);
    if (sign === PLUS || sign === MINUS) this.#at += 1;
    this.#skipDigits();
    return true;
  }

  /** At least one. */
  #skipDigits(): void {
    const start = this.#at;
    let unit = this.#text.charCodeAt(this.#at);
    while (unit >= ZERO && unit <= NINE) {
      this.#at += 1;
      unit = this.#text.charCodeAt(this.#at);
    }
    if (this.#at === start) throw malformed("a number ends in its middle");
  }

  #word<T extends boolean | null>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw malformed("a value was expected");
    this.#at += word.length;
    return value;
  }

  /** Skips white space. The unit behind it, which is not taken. */
  #next(): number {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== SPACE && unit !== LINE_FEED && unit !== CARRIAGE_RETURN && unit !== TAB) return unit;
      this.#at += 1;
    }
  }

  #take(mark: number): void {
    if (!this.#takeIf(mark)) throw malformed("a bracket, comma or colon is missing");
  }

  #takeIf(mark: number): boolean {
    if (this.#next() !== mark) return false;
    this.#at += 1;
    return true;
  }
}

function wellFormed(value: string): string {
  if (LONE_SURROGATE.test(value)) throw malformed("a string holds half of a surrogate pair");
  return value;
}

function malformed(why: string): EncodingError {
  return refused("JSON_MALFORMED", why);
}

function refused(
  code: "JSON_MALFORMED" | "JSON_TOO_LARGE" | "JSON_TOO_DEEP" | "JSON_DUPLICATE_NAME" | "JSON_NUMBER_NOT_ALLOWED",
  why: string,
): EncodingError {
  return new EncodingError(code, { what: "JSON text refused", why, remedy: "ask its sender for valid JSON" });
}
