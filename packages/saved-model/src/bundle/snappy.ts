import { fault, type SavedModelError } from "../error.ts";

const malformed = (why: string): SavedModelError =>
  fault("BUNDLE_MALFORMED", "a Snappy block cannot be read", why, "copy the model again");

/** The varint length at the start of a block, and where the elements begin. */
function readLength(input: Uint8Array): { length: number; offset: number } {
  let length = 0;
  for (let offset = 0; offset < 5; offset++) {
    const byte = input[offset];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * offset);
    if (byte < 0x80) return { length, offset: offset + 1 };
  }
  throw malformed("its length is not a 32-bit varint");
}

/**
 * Plaintext of a raw Snappy block (the format without frames, as in LevelDB tables).
 *
 * @throws SavedModelError BUNDLE_MALFORMED where it is damaged or expands beyond `maxBytes`.
 */
export function uncompressSnappy(input: Uint8Array, maxBytes: number): Uint8Array {
  const { length, offset } = readLength(input);
  if (length > maxBytes) throw malformed("it expands beyond the limit");
  const output = new Uint8Array(length);
  let from = offset;
  let to = 0;

  const littleEndian = (bytes: number): number => {
    if (from + bytes > input.length) throw malformed("it ends inside an element");
    let value = 0;
    for (let i = 0; i < bytes; i++) value += (input[from + i] as number) * 2 ** (8 * i);
    from += bytes;
    return value;
  };
  const literal = (count: number): void => {
    if (from + count > input.length || to + count > length) throw malformed("a literal is too long");
    output.set(input.subarray(from, from + count), to);
    from += count;
    to += count;
  };
  const copy = (count: number, distance: number): void => {
    if (distance === 0 || distance > to || to + count > length) throw malformed("a copy reaches outside the output");
    // Byte by byte: source and target may overlap, which repeats the pattern.
    for (let i = 0; i < count; i++, to++) output[to] = output[to - distance] as number;
  };

  while (from < input.length) {
    const tag = littleEndian(1);
    const size = tag >>> 2;
    if ((tag & 3) === 0) literal((size < 60 ? size : littleEndian(size - 59)) + 1);
    else if ((tag & 3) === 1) copy((size & 7) + 4, ((tag >>> 5) << 8) + littleEndian(1));
    else if ((tag & 3) === 2) copy(size + 1, littleEndian(2));
    else copy(size + 1, littleEndian(4));
  }
  if (to !== length) throw malformed("it is shorter than it says");
  return output;
}
