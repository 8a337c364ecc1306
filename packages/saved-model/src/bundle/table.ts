// The LevelDB table format (leveldb/doc/table_format.md), as TensorFlow writes checkpoint index files.

import { fault, type SavedModelError } from "../error.ts";
import { crc32c, maskedCrc32c } from "./crc32c.ts";
import { uncompressSnappy } from "./snappy.ts";

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC_LOW = 0x8b80fb57;
const MAGIC_HIGH = 0xdb477524;
const MAX_BLOCK_BYTES = 64 * 2 ** 20;

export interface TableEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

const malformed = (why: string): SavedModelError =>
  fault("BUNDLE_MALFORMED", "the checkpoint index is not a valid table", why, "copy the model again");

/** A cursor over `bytes` that reads varints and slices and refuses to leave them. */
class Cursor {
  readonly #bytes: Uint8Array;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 56; shift += 7) {
      const byte = this.#bytes[this.#offset++];
      if (byte === undefined) throw malformed("it ends inside a number");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw malformed("a number is too large");
  }

  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) throw malformed("an entry is longer than its block");
    const slice = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return slice;
  }

  handle(): BlockHandle {
    return { offset: this.varint(), size: this.varint() };
  }
}

/**
 * Entries of a table in key order. Every block's CRC is checked.
 *
 * @throws SavedModelError BUNDLE_MALFORMED, BUNDLE_CHECKSUM
 */
export function readTable(file: Uint8Array): TableEntry[] {
  const index = readBlock(file, readFooter(file));
  const entries: TableEntry[] = [];
  for (const pointer of blockEntries(index)) {
    const handle = new Cursor(pointer.value).handle();
    for (const entry of blockEntries(readBlock(file, handle))) {
      const previous = entries.at(-1);
      if (previous && Buffer.compare(previous.key, entry.key) >= 0) throw malformed("its keys are not in order");
      entries.push(entry);
    }
  }
  return entries;
}

/** The footer holds the handles of the meta-index and the index, padding, and a magic number. */
function readFooter(file: Uint8Array): BlockHandle {
  if (file.length < FOOTER_BYTES) throw malformed("it is shorter than a footer");
  const footer = file.subarray(file.length - FOOTER_BYTES);
  const view = new DataView(footer.buffer, footer.byteOffset, FOOTER_BYTES);
  if (view.getUint32(40, true) !== MAGIC_LOW || view.getUint32(44, true) !== MAGIC_HIGH) {
    throw malformed("it does not end in the table magic");
  }
  const cursor = new Cursor(footer.subarray(0, 40));
  cursor.handle();
  return cursor.handle();
}

/** Content of a block, after its CRC (over content and type byte) has been checked. */
function readBlock(file: Uint8Array, { offset, size }: BlockHandle): Uint8Array {
  if (offset + size + TRAILER_BYTES > file.length) throw malformed("a block reaches outside the file");
  const content = file.subarray(offset, offset + size);
  const type = file[offset + size];
  const stored = new DataView(file.buffer, file.byteOffset + offset + size + 1, 4).getUint32(0, true);
  if (stored !== maskedCrc32c(crc32c(file.subarray(offset, offset + size + 1)))) {
    throw fault("BUNDLE_CHECKSUM", "the checkpoint index is damaged", "a block's CRC is wrong", "copy the model again");
  }
  if (type === 0) return content;
  if (type === 1) return uncompressSnappy(content, MAX_BLOCK_BYTES);
  throw malformed("a block has an unknown compression");
}

/** Entries of a block: keys share a prefix with the one before; the restart array at the end is only for seeking. */
function* blockEntries(block: Uint8Array): Generator<TableEntry> {
  if (block.length < 4) throw malformed("a block is too short");
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const end = block.length - 4 - 4 * restarts;
  if (end < 0) throw malformed("a block's restart array is longer than the block");
  const cursor = new Cursor(block.subarray(0, end));
  let key: Uint8Array = new Uint8Array();
  while (cursor.offset < end) {
    const shared = cursor.varint();
    const unshared = cursor.varint();
    const valueLength = cursor.varint();
    if (shared > key.length) throw malformed("a key shares more than its predecessor has");
    const suffix = cursor.take(unshared);
    const next = new Uint8Array(shared + unshared);
    next.set(key.subarray(0, shared));
    next.set(suffix, shared);
    key = next;
    yield { key, value: cursor.take(valueLength) };
  }
}
