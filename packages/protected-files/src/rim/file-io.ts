import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { ProtectedFileError } from "../errors.ts";
import type { SealedSource } from "../source.ts";
import { NODE_BYTES } from "../tree.ts";
import { hasErrno } from "./errno.ts";

/** Fills `into` from `offset` of a file. Rejects with INPUT_CHANGED where the file ends before. */
export async function readFully(file: FileHandle, into: Uint8Array, offset: number): Promise<void> {
  for (let filled = 0; filled < into.length;) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, offset + filled);
    if (bytesRead === 0) throw new ProtectedFileError("INPUT_CHANGED");
    filled += bytesRead;
  }
}

/** Writes all of `bytes` at `offset`. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, offset + written);
    written += bytesWritten;
  }
}

/** The first node of an open file of `sizeBytes` bytes, or all of a shorter one. */
export async function readNodeZero(file: FileHandle, sizeBytes: number): Promise<Uint8Array> {
  const node = new Uint8Array(Math.min(NODE_BYTES, sizeBytes));
  await readFully(file, node, 0);
  return node;
}

/**
 * Opens a regular file for reading, hands it with its size to `use`, and closes it. Rejects with INPUT_MISSING or
 * INPUT_NOT_REGULAR.
 */
export async function withInput<T>(path: string, use: (file: FileHandle, sizeBytes: number) => Promise<T>): Promise<T> {
  return withFile(path, "r", use);
}

/** As `withInput`, opened for reading and writing in place. */
export async function withInputForUpdate<T>(
  path: string,
  use: (file: FileHandle, sizeBytes: number) => Promise<T>,
): Promise<T> {
  return withFile(path, "r+", use);
}

async function withFile<T>(
  path: string,
  flags: "r" | "r+",
  use: (file: FileHandle, sizeBytes: number) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags).catch((cause: unknown) => {
    if (hasErrno(cause, "ENOENT", "ENOTDIR")) throw new ProtectedFileError("INPUT_MISSING", { subject: path, cause });
    if (hasErrno(cause, "EISDIR")) throw new ProtectedFileError("INPUT_NOT_REGULAR", { subject: path, cause });
    throw cause;
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new ProtectedFileError("INPUT_NOT_REGULAR", { subject: path });
    return await use(file, stats.size);
  } finally {
    await file.close();
  }
}

/** An open file as a source for `ProtectedFileReader`. The caller keeps it open while it reads, and closes it. */
export function fileSource(file: FileHandle, sealedBytes: number): SealedSource {
  return {
    sealedBytes,
    read: async (offset, lengthBytes) => {
      const bytes = Buffer.allocUnsafeSlow(lengthBytes);
      await readFully(file, bytes, offset);
      return bytes;
    },
  };
}
