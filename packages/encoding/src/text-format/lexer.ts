import { EncodingError } from "../encoding-error.ts";
import { utf8 } from "../bytes.ts";

/** A token of protobuf's text format. Strings are bytes: a `bytes` field may hold what is not UTF-8. */
export type TextToken =
  | { readonly kind: "word" | "number" | "symbol"; readonly text: string; readonly line: number }
  | { readonly kind: "string"; readonly bytes: Uint8Array; readonly line: number }
  | { readonly kind: "end"; readonly line: number };

const SPACE_OR_COMMENT = /(?:[ \t\r\n\f\v]|#[^\n]*)+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(?:0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)(?![A-Za-z0-9_.])/y;
const SYMBOL = /[{}<>[\]:,;-]/y;
const PLAIN = { '"': /[^"\\\n\0]+/y, "'": /[^'\\\n\0]+/y };
const ESCAPE = /\\(?:([abfnrtv\\'"?])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
  "'": 39,
  '"': 34,
  "?": 63,
};

/** Splits a text into tokens, one at a time. Throws TEXT_FORMAT_MALFORMED with the line, never with the text. */
export class TextLexer {
  readonly #text: string;
  #offset = 0;
  #line = 1;
  #current: TextToken;

  constructor(text: string) {
    this.#text = text;
    this.#current = this.#read();
  }

  get current(): TextToken {
    return this.#current;
  }

  /** The current token; the next one becomes current. */
  take(): TextToken {
    const token = this.#current;
    this.#current = this.#read();
    return token;
  }

  /** Takes the current token where it is this symbol. */
  takeSymbol(symbol: string): boolean {
    const isIt = this.#current.kind === "symbol" && this.#current.text === symbol;
    if (isIt) this.take();
    return isIt;
  }

  #read(): TextToken {
    const skipped = this.#match(SPACE_OR_COMMENT);
    for (const character of skipped ?? "") if (character === "\n") this.#line++;
    const line = this.#line;
    if (this.#offset === this.#text.length) return { kind: "end", line };
    const quote = this.#text[this.#offset];
    if (quote === '"' || quote === "'") return { kind: "string", bytes: this.#readString(quote), line };
    for (const [kind, pattern] of [
      ["word", WORD],
      ["number", NUMBER],
      ["symbol", SYMBOL],
    ] as const) {
      const text = this.#match(pattern);
      if (text !== undefined) return { kind, text, line };
    }
    throw malformedText(line, "a character that begins no token");
  }

  #readString(quote: '"' | "'"): Uint8Array {
    const bytes: number[] = [];
    this.#offset++;
    while (this.#text[this.#offset] !== quote) {
      const plain = this.#match(PLAIN[quote]);
      if (plain === undefined) this.#readEscape(bytes);
      else for (const byte of utf8(plain)) bytes.push(byte);
    }
    this.#offset++;
    return Uint8Array.from(bytes);
  }

  #readEscape(bytes: number[]): void {
    ESCAPE.lastIndex = this.#offset;
    const match = ESCAPE.exec(this.#text);
    if (match === null) throw malformedText(this.#line, "a string that does not end on its line, or a wrong escape");
    this.#offset = ESCAPE.lastIndex;
    const [, simple, octal, hex, short, long] = match;
    if (simple !== undefined) bytes.push(SIMPLE_ESCAPES[simple] ?? 0);
    else if (octal !== undefined) bytes.push(this.#inRange(Number.parseInt(octal, 8), 0xff));
    else if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      const codePoint = this.#inRange(Number.parseInt(short ?? long ?? "", 16), 0x10ffff);
      for (const byte of utf8(String.fromCodePoint(codePoint))) bytes.push(byte);
    }
  }

  #inRange(value: number, max: number): number {
    if (value > max) throw malformedText(this.#line, "an escape out of range");
    return value;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#offset = pattern.lastIndex;
    return match[0];
  }
}

export function malformedText(line: number, why: string): EncodingError {
  return new EncodingError("TEXT_FORMAT_MALFORMED", {
    what: `the protobuf text cannot be read at line ${line}`,
    why: `it has ${why}`,
    remedy: "correct the line",
  });
}
