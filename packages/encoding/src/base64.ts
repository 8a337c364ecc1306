const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** No value of a digit has one of these two bits. */
const INVALID = 0xc0;
const VALUES = new Uint8Array(128).fill(INVALID);
for (let index = 0; index < ALPHABET.length; index += 1) VALUES[ALPHABET.charCodeAt(index)] = index;

/**
 * The bytes of base64 text (RFC 4648, section 4), or `undefined` where it is not the one canonical form: padded, no white
 * space, and the bits that padding leaves over are zero.
 */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const whole = text.length - (padding === 0 ? 0 : 4);
  let at = 0;
  for (let index = 0; index < whole; index += 4) {
    const a = valueAt(text, index);
    const b = valueAt(text, index + 1);
    const c = valueAt(text, index + 2);
    const d = valueAt(text, index + 3);
    if (((a | b | c | d) & INVALID) !== 0) return undefined;
    bytes[at] = (a << 2) | (b >> 4);
    bytes[at + 1] = ((b & 15) << 4) | (c >> 2);
    bytes[at + 2] = ((c & 3) << 6) | d;
    at += 3;
  }
  return padding === 0 || decodePadded(text, whole, padding, bytes.subarray(at)) ? bytes : undefined;
}

/** The last four characters, one or two of which are padding. Whether they are canonical. */
function decodePadded(text: string, start: number, padding: number, target: Uint8Array): boolean {
  const a = valueAt(text, start);
  const b = valueAt(text, start + 1);
  const c = padding === 1 ? valueAt(text, start + 2) : 0;
  const left = padding === 1 ? c & 3 : b & 15;
  if (((a | b | c) & INVALID) !== 0 || left !== 0) return false;
  target[0] = (a << 2) | (b >> 4);
  if (padding === 1) target[1] = ((b & 15) << 4) | (c >> 2);
  return true;
}

function valueAt(text: string, index: number): number {
  return VALUES[text.charCodeAt(index)] ?? INVALID;
}

/** Padded base64 of bytes, without line breaks. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const a = bytes[at] ?? 0;
    const b = bytes[at + 1];
    const c = bytes[at + 2];
    text += ALPHABET.charAt(a >> 2) + ALPHABET.charAt(((a & 3) << 4) | ((b ?? 0) >> 4));
    text += b === undefined ? "=" : ALPHABET.charAt(((b & 15) << 2) | ((c ?? 0) >> 6));
    text += c === undefined ? "=" : ALPHABET.charAt(c & 63);
  }
  return text;
}
