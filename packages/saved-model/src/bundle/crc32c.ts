// CRC-32C (Castagnoli), and the masked form that LevelDB tables, TensorBundles and TFRecords store.

const POLYNOMIAL = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

/** Eight tables of 256 entries: table k advances a byte by k further zero bytes ("slicing by eight"). */
const TABLES = buildTables();

function buildTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (const table of tables) {
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
      table[byte] = crc;
    }
  }
  return tables;
}

/** CRC-32C of `bytes`, continuing from `initial` (the CRC of what came before). */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  // Indices are masked to 8 bits or bounded by the loop, so the reads below are always defined.
  const at = (table: Uint32Array, index: number): number => table[index & 255] as number;
  let crc = ~initial;
  let offset = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const end = bytes.length - 7; offset < end; offset += 8) {
    const low = crc ^ view.getUint32(offset, true);
    const high = view.getUint32(offset + 4, true);
    crc =
      at(t7, low) ^
      at(t6, low >>> 8) ^
      at(t5, low >>> 16) ^
      at(t4, low >>> 24) ^
      at(t3, high) ^
      at(t2, high >>> 8) ^
      at(t1, high >>> 16) ^
      at(t0, high >>> 24);
  }
  for (; offset < bytes.length; offset++) crc = (crc >>> 8) ^ at(t0, crc ^ (bytes[offset] as number));
  return ~crc >>> 0;
}

/** The stored form: rotated right by 15 bits plus a constant, so that a CRC of data with CRCs in it stays sound. */
export function maskedCrc32c(crc: number): number {
  return ((((crc >>> 15) | (crc << 17)) >>> 0) + MASK_DELTA) >>> 0;
}
