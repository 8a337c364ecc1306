// Finds the exact bytes of a member's value, because the signature is over those and not over what a parser made of them.
// The text was parsed strictly before: it is valid JSON and names are unique. So brackets outside strings balance.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const SPACE: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0d, 0x20]);

/**
 * The bytes of the value of the member `name` of the JSON object `text`, or `undefined` where it has no member whose name
 * is written with exactly these ASCII characters. `text` must be valid JSON.
 */
export function valueRange(text: Uint8Array, name: string): Uint8Array | undefined {
  let at = skipSpace(text, 0) + 1;
  while (at < text.length) {
    const nameStart = skipSpace(text, at);
    if (text[nameStart] !== QUOTE) return undefined;
    const nameEnd = endOfString(text, nameStart);
    const valueStart = skipSpace(text, skipTo(text, nameEnd, COLON) + 1);
    const valueEnd = endOfValue(text, valueStart);
    if (hasText(text.subarray(nameStart + 1, nameEnd - 1), name)) return text.subarray(valueStart, valueEnd);
    at = skipTo(text, valueEnd, COMMA) + 1;
  }
  return undefined;
}

function endOfValue(text: Uint8Array, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) at = endOfString(text, at);
    else if (depth === 0 && !isOpen(byte)) return endOfWord(text, at);
    else {
      if (isOpen(byte)) depth += 1;
      else if (isClose(byte)) depth -= 1;
      at += 1;
    }
  } while (depth > 0 && at < text.length);
  return at;
}

/** Of a number, `true`, `false` or `null`. */
function endOfWord(text: Uint8Array, start: number): number {
  let at = start;
  while (at < text.length && !isDelimiter(text[at] ?? 0)) at += 1;
  return at;
}

function isOpen(byte: number): boolean {
  return byte === OPEN_OBJECT || byte === OPEN_ARRAY;
}

function isClose(byte: number): boolean {
  return byte === CLOSE_OBJECT || byte === CLOSE_ARRAY;
}

function isDelimiter(byte: number): boolean {
  return byte === COMMA || isClose(byte) || SPACE.has(byte);
}

/** The offset behind the closing quotation mark. */
function endOfString(text: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== QUOTE) at += text[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

function skipSpace(text: Uint8Array, start: number): number {
  let at = start;
  while (at < text.length && SPACE.has(text[at] ?? 0)) at += 1;
  return at;
}

function skipTo(text: Uint8Array, start: number, mark: number): number {
  const at = text.indexOf(mark, start);
  return at < 0 ? text.length : at;
}

function hasText(bytes: Uint8Array, text: string): boolean {
  return bytes.length === text.length && bytes.every((byte, index) => byte === text.charCodeAt(index));
}
