// Enough of the ZIP format to take files out of a jar whose digest has been checked. (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12
// and 4.3.16; no ZIP64, no encryption)

import { createWriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";

const END = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT = 0xffff;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

interface Entry {
  readonly method: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  /** Where its local header begins. */
  readonly offset: number;
}

/** Writes entries of the archive to paths. Throws where the archive is damaged or lacks one. */
export async function extract(archive: string, wanted: ReadonlyMap<string, string>): Promise<void> {
  const file = await open(archive);
  try {
    const entries = await readEntries(file);
    for (const [name, path] of wanted) {
      const entry = entries.get(name);
      if (!entry) throw new Error("the archive lacks an entry");
      await extractEntry(file, entry, path);
    }
  } finally {
    await file.close();
  }
}

async function readEntries(file: FileHandle): Promise<ReadonlyMap<string, Entry>> {
  const { size } = await file.stat();
  const tail = await read(file, Math.max(0, size - END_BYTES - MAX_COMMENT), Math.min(size, END_BYTES + MAX_COMMENT));
  let end = tail.length - END_BYTES;
  while (end >= 0 && tail.readUInt32LE(end) !== END) end--;
  if (end < 0) throw new Error("the archive has no end");
  const directory = await read(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  const entries = new Map<string, Entry>();
  for (let at = 0; at < directory.length;) {
    if (directory.readUInt32LE(at) !== ENTRY) throw new Error("the archive's directory is damaged");
    const nameBytes = directory.readUInt16LE(at + 28);
    const more = directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    const nameEnd = at + ENTRY_BYTES + nameBytes;
    entries.set(directory.toString("utf8", at + ENTRY_BYTES, nameEnd), {
      method: directory.readUInt16LE(at + 10),
      compressedBytes: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    });
    at = nameEnd + more;
  }
  return entries;
}

async function extractEntry(file: FileHandle, entry: Entry, path: string): Promise<void> {
  const { method, compressedBytes, bytes, offset } = entry;
  if (method !== DEFLATED && method !== STORED) throw new Error("an entry is packed in an unknown way");
  const local = await read(file, offset, LOCAL_BYTES);
  const start = offset + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28);
  const packed = file.createReadStream({ start, end: start + compressedBytes - 1, autoClose: false });
  const output = createWriteStream(path, { mode: 0o644 });
  if (method === STORED) await pipeline(packed, output);
  else await pipeline(packed, createInflateRaw(), output);
  if (output.bytesWritten !== bytes) throw new Error("an entry has another length than the directory says");
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead !== length) throw new Error("the archive is cut off");
  return buffer;
}
