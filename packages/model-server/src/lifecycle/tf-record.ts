import { crc32c, maskedCrc32c } from "@cloister/saved-model";
import { callError } from "../errors.ts";

const HEADER_BYTES = 12;
const TRAILER_BYTES = 4;

/** The records of a TFRecord file, as views: length and data each with a masked CRC-32C. Throws DATA_LOSS. */
export function* readTfRecords(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < HEADER_BYTES + TRAILER_BYTES) throw corrupt("a record is cut short");
    const length = Number(view.getBigUint64(offset, true));
    if (!matches(bytes.subarray(offset, offset + 8), view.getUint32(offset + 8, true))) {
      throw corrupt("the checksum of a length does not match");
    }
    const start = offset + HEADER_BYTES;
    if (length > bytes.length - start - TRAILER_BYTES) throw corrupt("a record is cut short");
    const record = bytes.subarray(start, start + length);
    if (!matches(record, view.getUint32(start + length, true)))
      throw corrupt("the checksum of a record does not match");
    yield record;
    offset = start + length + TRAILER_BYTES;
  }
}

function matches(bytes: Uint8Array, stored: number): boolean {
  return maskedCrc32c(crc32c(bytes)) === stored;
}

function corrupt(why: string): Error {
  return callError("DATA_LOSS", `The file is not in the TFRecord format, which is needed here: ${why}`);
}
