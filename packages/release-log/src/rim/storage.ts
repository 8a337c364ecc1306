import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** The bytes of one log. A test puts a failing disk in its place. */
export interface LogStorage {
  /** Reads up to `length` bytes at `position`; empty at the end. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes` at `position`, which is the end. */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when what was written is on stable storage. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** A file that exists. */
export async function openFileStorage(path: string, flags: "r" | "r+" = "r+"): Promise<LogStorage> {
  const file = await open(path, flags);
  return {
    async read(position, length) {
      const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
    write: (position, bytes) => writeFully(file, position, bytes),
    sync: () => file.datasync(),
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  };
}

/** Makes a file with that first content, whole or not at all, unless there is one already. */
export async function createFile(path: string, content: Uint8Array): Promise<void> {
  const existing = await openIfThere(path);
  if (existing !== undefined) return existing.close();
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o644);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function writeFully(file: FileHandle, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
