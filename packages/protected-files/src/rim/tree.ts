import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { checkPlainPath } from "../bundle/names.ts";
import { ProtectedFileError } from "../errors.ts";
import { exists, syncDirectory } from "./atomic-file.ts";
import { hasErrno } from "./errno.ts";

export interface TreeLimits {
  /** Default 10,000. */
  readonly maxFiles?: number | undefined;
  /** Default 8 GiB. */
  readonly maxBytes?: number | undefined;
  /** Default 64. */
  readonly maxDepth?: number | undefined;
  /** Follow symbolic links (a chain of them ends at `maxDepth`). Default: a link is refused, so that none leads outside. */
  readonly followLinks?: boolean | undefined;
}

export interface TreeFile {
  /** Relative to the directory, with `/`. */
  readonly path: string;
  readonly sizeBytes: number;
}

/**
 * The regular files below a directory, sorted by path. Rejects with INPUT_MISSING, INPUT_NOT_REGULAR (link, socket, device),
 * TREE_PATH_UNSAFE (control characters in a name) or TREE_TOO_LARGE.
 */
export async function listTree(directory: string, limits: TreeLimits = {}): Promise<TreeFile[]> {
  const { maxFiles = 10_000, maxBytes = 8 * 2 ** 30, maxDepth = 64 } = limits;
  const look = limits.followLinks === true ? stat : lstat;
  const files: TreeFile[] = [];
  let totalBytes = 0;
  const walk = async (relative: string, depth: number): Promise<void> => {
    if (depth > maxDepth) throw new ProtectedFileError("TREE_TOO_LARGE", { subject: directory });
    for (const name of await readdir(join(directory, relative))) {
      const path = relative === "" ? name : `${relative}/${name}`;
      checkPlainPath(path);
      const entry = await look(join(directory, path));
      if (entry.isDirectory()) await walk(path, depth + 1);
      else if (!entry.isFile()) throw new ProtectedFileError("INPUT_NOT_REGULAR", { subject: path });
      else {
        totalBytes += entry.size;
        files.push({ path, sizeBytes: entry.size });
        const tooLarge = files.length > maxFiles || totalBytes > maxBytes;
        if (tooLarge) throw new ProtectedFileError("TREE_TOO_LARGE", { subject: directory });
      }
    }
  };
  await walk("", 1).catch((error: unknown) => {
    throw hasErrno(error, "ENOENT", "ENOTDIR")
      ? new ProtectedFileError("INPUT_MISSING", { subject: directory, cause: error })
      : error;
  });
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Every file below a directory, by path relative to it. Rejects as `listTree`. */
export async function readTree(directory: string, limits: TreeLimits = {}): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { path } of await listTree(directory, limits)) {
    files.set(path, await readFile(join(directory, path)));
  }
  return files;
}

export interface WriteTreeOptions {
  /** Replace a directory that is there. Default false: OUTPUT_EXISTS. */
  readonly replace?: boolean | undefined;
  /** Permission bits of files. Default 0o644; give 0o600 for secrets. */
  readonly mode?: number | undefined;
}

/**
 * Writes files into a new directory, flushes all of it and gives the directory its name last: there is never a half-written
 * `directory`. With `replace` the old one is moved aside first, so that for one moment there is neither; the old one is removed
 * only when the new one stands. Rejects with TREE_PATH_UNSAFE or OUTPUT_EXISTS.
 */
export async function writeTreeAtomically(
  directory: string,
  files: ReadonlyMap<string, Uint8Array>,
  options: WriteTreeOptions = {},
): Promise<void> {
  for (const path of files.keys()) checkPlainPath(path);
  await makeDirectoryAtomically(directory, options, (temporary) =>
    fillDirectory(temporary, files, options.mode ?? 0o644),
  );
}

/**
 * Has `fill` make a directory under a temporary name beside `directory`, and gives it its name when it is done; removes it
 * where `fill` fails. Rejects with OUTPUT_EXISTS.
 */
export async function makeDirectoryAtomically<T>(
  directory: string,
  options: Pick<WriteTreeOptions, "replace">,
  fill: (temporary: string) => Promise<T>,
): Promise<T> {
  const there = await exists(directory);
  if (there && options.replace !== true) throw new ProtectedFileError("OUTPUT_EXISTS", { subject: directory });
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true });
  const temporary = besideName(directory, "tmp");
  try {
    const result = await fill(temporary);
    if (there) await exchange(temporary, directory);
    else await rename(temporary, directory);
    await syncDirectory(parent);
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

async function exchange(temporary: string, directory: string): Promise<void> {
  const aside = besideName(directory, "old");
  await rename(directory, aside);
  try {
    await rename(temporary, directory);
  } catch (error) {
    await rename(aside, directory);
    throw error;
  }
  await rm(aside, { recursive: true });
}

async function fillDirectory(root: string, files: ReadonlyMap<string, Uint8Array>, mode: number): Promise<void> {
  const directories = new Set([root]);
  await mkdir(root);
  for (const [path, bytes] of files) {
    const target = join(root, path);
    for (let at = dirname(target); at !== root; at = dirname(at)) directories.add(at);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes, { flag: "wx", mode, flush: true });
  }
  for (const each of directories) await syncDirectory(each);
}

/** A hidden, unused name beside `path`. */
function besideName(path: string, suffix: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.${suffix}`);
}
