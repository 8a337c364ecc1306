import { Http2Error } from "./protocol.ts";

// HPACK's Huffman code (RFC 7541, appendix B) is canonical: symbols in the order of their lengths, then of their numbers, have
// consecutive codes. So the lengths are the whole table.

/** Runs of symbols with one length, from symbol 0 on: [length, symbols]. Symbol 256 is the end of the string. */
// prettier-ignore
const LENGTH_RUNS: readonly (readonly [bits: number, symbols: number])[] = [
  [13, 1], [23, 1], [28, 7], [24, 1], [30, 1], [28, 2], [30, 1], [28, 8], [30, 1], [28, 9], [6, 1], [10, 2], [12, 1],
  [13, 1], [6, 1], [8, 1], [11, 1], [10, 2], [8, 1], [11, 1], [8, 1], [6, 3], [5, 3], [6, 7], [7, 1], [8, 1], [15, 1],
  [6, 1], [12, 1], [10, 1], [13, 1], [6, 1], [7, 22], [8, 1], [7, 1], [8, 1], [13, 1], [19, 1], [13, 1], [14, 1],
  [6, 1], [15, 1], [5, 1], [6, 1], [5, 1], [6, 1], [5, 1], [6, 3], [5, 1], [7, 2], [6, 3], [5, 1], [6, 1], [7, 1],
  [6, 1], [5, 2], [6, 1], [7, 5], [15, 1], [11, 1], [14, 1], [13, 1], [28, 1], [20, 1], [22, 1], [20, 2], [22, 3],
  [23, 1], [22, 1], [23, 5], [24, 1], [23, 1], [24, 2], [22, 1], [23, 1], [24, 1], [23, 4], [21, 1], [22, 1], [23, 1],
  [22, 1], [23, 2], [24, 1], [22, 1], [21, 1], [20, 1], [22, 2], [23, 2], [21, 1], [23, 1], [22, 2], [24, 1], [21, 1],
  [22, 1], [23, 2], [21, 2], [22, 1], [21, 1], [23, 1], [22, 1], [23, 2], [20, 1], [22, 3], [23, 1], [22, 2], [23, 1],
  [26, 2], [20, 1], [19, 1], [22, 1], [23, 1], [22, 1], [25, 1], [26, 3], [27, 2], [26, 1], [24, 1], [25, 1], [19, 1],
  [21, 1], [26, 1], [27, 2], [26, 1], [27, 1], [24, 1], [21, 2], [26, 2], [28, 1], [27, 3], [20, 1], [24, 1], [20, 1],
  [21, 1], [22, 1], [21, 2], [23, 1], [22, 2], [25, 2], [24, 2], [26, 1], [23, 1], [26, 1], [27, 1], [26, 2], [27, 5],
  [28, 1], [27, 5], [26, 1], [30, 1],
];
const END_OF_STRING = 256;
const MAX_CODE_BITS = 30;
/** A string ends with fewer bits of padding than a byte has. */
const MAX_PADDING_BITS = 7;

const LENGTHS = LENGTH_RUNS.flatMap(([bits, symbols]) => Array<number>(symbols).fill(bits));
/** Symbols in the order of their codes. */
const SYMBOLS = LENGTHS.map((_bits, symbol) => symbol).toSorted(
  (a, b) => (LENGTHS[a] ?? 0) - (LENGTHS[b] ?? 0) || a - b,
);
const CODES = new Uint32Array(SYMBOLS.length);
/** For each length: how many codes have it, its first code, and where its symbols begin in SYMBOLS. */
const COUNT = new Uint32Array(MAX_CODE_BITS + 1);
const FIRST_CODE = new Uint32Array(MAX_CODE_BITS + 1);
const FIRST_INDEX = new Uint32Array(MAX_CODE_BITS + 1);

for (const bits of LENGTHS) COUNT[bits] = (COUNT[bits] ?? 0) + 1;
for (let bits = 1, code = 0, index = 0; bits <= MAX_CODE_BITS; bits++) {
  code <<= 1;
  FIRST_CODE[bits] = code;
  FIRST_INDEX[bits] = index;
  for (let rank = 0; rank < (COUNT[bits] ?? 0); rank++) CODES[SYMBOLS[index++] ?? 0] = code++;
}

/** The bytes of a Huffman-coded string. Throws COMPRESSION_ERROR for an end-of-string symbol and for wrong padding. */
export function decodeHuffman(bytes: Uint8Array): Uint8Array {
  // No code is shorter than five bits.
  const decoded = new Uint8Array(Math.floor((bytes.length * 8) / 5));
  let filled = 0;
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1);
      bits++;
      const rank = code - (FIRST_CODE[bits] ?? 0);
      if (rank >= 0 && rank < (COUNT[bits] ?? 0)) {
        const symbol = SYMBOLS[(FIRST_INDEX[bits] ?? 0) + rank] ?? END_OF_STRING;
        if (symbol === END_OF_STRING) throw new Http2Error("COMPRESSION_ERROR", "a string has an end within it");
        decoded[filled++] = symbol;
        code = 0;
        bits = 0;
      }
    }
  }
  // The padding is the beginning of the end-of-string symbol, which is all ones.
  if (bits > MAX_PADDING_BITS || code !== (1 << bits) - 1) {
    throw new Http2Error("COMPRESSION_ERROR", "a string is padded wrongly");
  }
  return decoded.subarray(0, filled);
}

/** How long a string is when it is Huffman-coded. */
export function huffmanLength(bytes: Uint8Array): number {
  let bits = 0;
  for (const byte of bytes) bits += LENGTHS[byte] ?? 0;
  return Math.ceil(bits / 8);
}

export function encodeHuffman(bytes: Uint8Array): Uint8Array {
  const encoded = new Uint8Array(huffmanLength(bytes));
  let filled = 0;
  // At most seven bits wait for their byte, and 30 more come: too many for one 32-bit number.
  let pending = 0;
  let pendingBits = 0;
  for (const byte of bytes) {
    const code = CODES[byte] ?? 0;
    for (let bit = (LENGTHS[byte] ?? 0) - 1; bit >= 0; bit--) {
      pending = (pending << 1) | ((code >> bit) & 1);
      if (++pendingBits === 8) {
        encoded[filled++] = pending;
        pending = 0;
        pendingBits = 0;
      }
    }
  }
  if (pendingBits > 0) encoded[filled] = (pending << (8 - pendingBits)) | (0xff >> pendingBits);
  return encoded;
}
