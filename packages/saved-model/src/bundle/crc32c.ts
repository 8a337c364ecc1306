// CRC-32C (Castagnoli), and the masked form that LevelDB tables, TensorBundles and TFRecords store.

const POLYNOMIAL = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

/** Eight tables of 256 entries: table k advances a byte by k further zero bytes ("slicing by eight"). */
const TABLES = buildTables();

/** Words in each of three stretches that are summed side by side: one sum alone waits for its tables most of the time. */
const STRETCH = 1024;

/** Four tables of 256 entries, one for each byte of a CRC: they advance it by the zero bytes of a stretch. */
const STRETCH_TABLES = buildStretchTables();

function buildTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let table = 0; table < 8; table++) {
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
      tables[table * 256 + byte] = crc;
    }
  }
  return tables;
}

function buildStretchTables(): Uint32Array {
  const zeros = new Uint8Array(4 * STRETCH);
  const advanced = Array.from({ length: 32 }, (_, bit) => sumBytes(1 << bit, zeros));
  return Uint32Array.from({ length: 4 * 256 }, (_, index) => {
    // What a byte becomes is the sum of what its bits become.
    const bits = advanced.slice((index >>> 8) * 8, (index >>> 8) * 8 + 8);
    return bits.reduce((sum, value, bit) => ((index >>> bit) & 1 ? sum ^ value : sum), 0);
  });
}

/** CRC-32C of `bytes`, continuing from `initial` (the CRC of what came before). */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  if (bytes.length < 8) return ~sumBytes(~initial, bytes) >>> 0;
  // Words lie at multiples of their size.
  const head = -bytes.byteOffset & 3;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >>> 2);
  let crc = sumBytes(~initial, bytes.subarray(0, head));
  let done = 0;
  for (; done + 3 * STRETCH <= words.length; done += 3 * STRETCH) crc = sumStretches(crc, words, done);
  for (; done + 2 <= words.length; done += 2) crc = sumWords(crc ^ word(words, done), word(words, done + 1));
  return ~sumBytes(crc, bytes.subarray(head + 4 * done)) >>> 0;
}

function sumStretches(initial: number, words: Uint32Array, from: number): number {
  let [first, second, third] = [initial, 0, 0];
  for (let i = from; i < from + STRETCH; i += 2) {
    first = sumWords(first ^ word(words, i), word(words, i + 1));
    second = sumWords(second ^ word(words, i + STRETCH), word(words, i + STRETCH + 1));
    third = sumWords(third ^ word(words, i + 2 * STRETCH), word(words, i + 2 * STRETCH + 1));
  }
  return skipStretch(skipStretch(first) ^ second) ^ third;
}

// Indices are masked to 8 bits or bounded by the loops, so the reads below are always defined.

function word(words: Uint32Array, index: number): number {
  return words[index] as number;
}

/** Eight bytes, as two little-endian words; the CRC so far is in the first. */
function sumWords(low: number, high: number): number {
  return (
    word(TABLES, 0x700 | (low & 255)) ^
    word(TABLES, 0x600 | ((low >>> 8) & 255)) ^
    word(TABLES, 0x500 | ((low >>> 16) & 255)) ^
    word(TABLES, 0x400 | (low >>> 24)) ^
    word(TABLES, 0x300 | (high & 255)) ^
    word(TABLES, 0x200 | ((high >>> 8) & 255)) ^
    word(TABLES, 0x100 | ((high >>> 16) & 255)) ^
    word(TABLES, high >>> 24)
  );
}

function skipStretch(crc: number): number {
  return (
    word(STRETCH_TABLES, crc & 255) ^
    word(STRETCH_TABLES, 0x100 | ((crc >>> 8) & 255)) ^
    word(STRETCH_TABLES, 0x200 | ((crc >>> 16) & 255)) ^
    word(STRETCH_TABLES, 0x300 | (crc >>> 24))
  );
}

function sumBytes(initial: number, bytes: Uint8Array): number {
  let crc = initial;
  for (const byte of bytes) crc = (crc >>> 8) ^ word(TABLES, (crc ^ byte) & 255);
  return crc;
}

/** The stored form: rotated right by 15 bits plus a constant, so that a CRC of data with CRCs in it stays sound. */
export function maskedCrc32c(crc: number): number {
  return ((((crc >>> 15) | (crc << 17)) >>> 0) + MASK_DELTA) >>> 0;
}
