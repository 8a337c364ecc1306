import { EncodingError } from "./encoding-error.ts";

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
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN_STRING = /"([^"\\\p{Cc}]*)"/uy;
const SPACE = /[ \t\n\r]*/y;
const LONE_SURROGATE = /\p{Surrogate}/u;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

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

class Parser {
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #allowAnyNumber: boolean;
  #at = 0;

  constructor(text: string, maxDepth: number, allowAnyNumber: boolean) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#allowAnyNumber = allowAnyNumber;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at !== this.#text.length) throw malformed("bytes follow the value");
    return value;
  }

  #value(depth: number): JsonValue {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth + 1);
      case "[":
        return this.#array(depth + 1);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    this.#enter(depth);
    const object: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>;
    if (this.#takeIf("}")) return object;
    do {
      this.#skipSpace();
      const name = this.#string();
      if (name in object) throw refused("JSON_DUPLICATE_NAME", "an object has the same name twice");
      this.#take(":");
      object[name] = this.#value(depth);
    } while (this.#takeIf(","));
    this.#take("}");
    return object;
  }

  #array(depth: number): JsonArray {
    this.#enter(depth);
    const items: JsonValue[] = [];
    if (this.#takeIf("]")) return items;
    do items.push(this.#value(depth));
    while (this.#takeIf(","));
    this.#take("]");
    return items;
  }

  #enter(depth: number): void {
    if (depth > this.#maxDepth) throw refused("JSON_TOO_DEEP", "arrays and objects are nested deeper than the limit");
    this.#at += 1;
  }

  #string(): string {
    PLAIN_STRING.lastIndex = this.#at;
    const plain = PLAIN_STRING.exec(this.#text);
    if (plain !== null) this.#at = PLAIN_STRING.lastIndex;
    const value = plain?.[1] ?? this.#escapedString();
    if (LONE_SURROGATE.test(value)) throw malformed("a string holds half of a surrogate pair");
    return value;
  }

  #escapedString(): string {
    if (this.#text[this.#at] !== '"') throw malformed("a string was expected");
    const parts: string[] = [];
    let start = (this.#at += 1);
    for (;;) {
      const unit = this.#text[this.#at];
      if (unit === undefined || unit < " ") throw malformed("a string is not closed or holds a control character");
      if (unit === '"' || unit === "\\") parts.push(this.#text.slice(start, this.#at));
      this.#at += 1;
      if (unit === '"') return parts.join("");
      if (unit === "\\") {
        parts.push(this.#escape());
        start = this.#at;
      }
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at] ?? "";
    this.#at += 1;
    if (letter !== "u") {
      const plain = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
      if (plain === undefined) throw malformed("unknown escape in a string");
      return plain;
    }
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw malformed("a \\u escape without four digits");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw malformed("a value was expected");
    this.#at = NUMBER.lastIndex;
    const value = Number(match[0]);
    const exact = match[1] === undefined && match[2] === undefined && Number.isSafeInteger(value) && match[0] !== "-0";
    if (!exact && !(this.#allowAnyNumber && Number.isFinite(value))) {
      throw refused("JSON_NUMBER_NOT_ALLOWED", "a number is not an integer within +-(2^53 - 1)");
    }
    return value;
  }

  #word<T extends boolean | null>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw malformed("a value was expected");
    this.#at += word.length;
    return value;
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #take(mark: string): void {
    if (!this.#takeIf(mark)) throw malformed("a bracket, comma or colon is missing");
  }

  #takeIf(mark: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }
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
