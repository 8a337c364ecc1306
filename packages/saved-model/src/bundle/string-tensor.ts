import { fault, type SavedModelError } from "../error.ts";
import { crc32c, maskedCrc32c } from "./crc32c.ts";

/**
 * Elements of a stored string tensor: varint lengths, the masked CRC of the lengths (each as 32 bits), then the bytes.
 * `storedCrc` is the entry's CRC; it covers the lengths, their CRC and the bytes.
 *
 * @throws SavedModelError BUNDLE_MALFORMED, BUNDLE_CHECKSUM
 */
export function decodeStringTensor(name: string, content: Uint8Array, count: number, storedCrc: number): Uint8Array[] {
  if (count > content.length) throw malformed(name, "it has more elements than bytes");
  const lengths = new Uint32Array(count);
  let offset = 0;
  for (let i = 0; i < count; i++) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = content[offset++];
      if (byte === undefined || shift > 28) throw malformed(name, "a length is not a 32-bit varint");
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (length > content.length) throw malformed(name, "an element is longer than the tensor");
    lengths[i] = length;
  }
  const lengthCrc = crc32c(new Uint8Array(lengths.buffer));
  const stored = content.subarray(offset, offset + 4);
  if (stored.length < 4) throw malformed(name, "it ends inside the CRC of its lengths");
  const storedLengthCrc = new DataView(stored.buffer, stored.byteOffset, 4).getUint32(0, true);
  const crc = crc32c(content.subarray(offset), lengthCrc);
  if (storedLengthCrc !== maskedCrc32c(lengthCrc) || storedCrc !== maskedCrc32c(crc)) {
    throw fault("BUNDLE_CHECKSUM", `the variable ${name} is damaged`, "its CRC is wrong", "copy the model again");
  }
  offset += 4;
  const elements = Array.from(lengths, (length) => content.subarray(offset, (offset += length)));
  if (offset !== content.length) throw malformed(name, "its lengths do not add up");
  return elements;
}

function malformed(name: string, why: string): SavedModelError {
  return fault("BUNDLE_MALFORMED", `the string variable ${name} cannot be read`, why, "copy the model again");
}
