import { randomBytes } from "node:crypto";
import { type FileHandle, link, lstat, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ProtectedFileError } from "../errors.ts";
import { hasErrno } from "./errno.ts";

export interface WriteOptions {
  /** Replace a file that is there. Default false: OUTPUT_EXISTS. */
  readonly overwrite?: boolean | undefined;
  /** Permission bits. Default 0o600. */
  readonly mode?: number | undefined;
}

/**
 * Fills a temporary file beside `path`, flushes it to the disk and gives it its name in one step: whatever happens, `path` is
 * the old file or the whole new one. Where `fill` fails the temporary file is removed and the error passed on. A process killed
 * in the middle leaves `.NAME.XXXXXXXX.tmp`, readable by its owner only.
 */
export async function writeFileAtomically<T>(
  path: string,
  options: WriteOptions,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  if (options.overwrite !== true && (await exists(path))) throw taken(path);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.tmp`);
  const file = await open(temporary, "wx", options.mode ?? 0o600).catch((cause: unknown) => {
    if (!hasErrno(cause, "ENOENT", "ENOTDIR")) throw cause;
    throw new ProtectedFileError("OUTPUT_DIRECTORY_MISSING", { subject: path, cause });
  });
  try {
    const result = await fillAndFlush(file, fill);
    await giveName(temporary, path, options.overwrite === true);
    await syncDirectory(dirname(path));
    return result;
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function fillAndFlush<T>(file: FileHandle, fill: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    const result = await fill(file);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

/** A hard link fails where the name is taken, which a rename does not: no race with another writer. */
async function giveName(temporary: string, path: string, overwrite: boolean): Promise<void> {
  if (overwrite) return rename(temporary, path);
  try {
    await link(temporary, path);
  } catch (error) {
    if (hasErrno(error, "EEXIST")) throw taken(path);
    // File systems without hard links: the early check has to do.
    if (!hasErrno(error, "EPERM", "ENOTSUP", "ENOSYS")) throw error;
    return rename(temporary, path);
  }
  return unlink(temporary);
}

/** Makes a change of names in a directory last. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}

function taken(path: string): ProtectedFileError {
  return new ProtectedFileError("OUTPUT_EXISTS", { subject: path });
}
