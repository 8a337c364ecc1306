import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { ModelFiles } from "@cloister/saved-model";

const MAX_INT64 = 2n ** 63n - 1n;

/**
 * The version folders of a base path. Names are whole numbers, leading zeros allowed; of two names for one number the last in
 * order counts. `undefined` where the base path itself cannot be read.
 */
export async function listVersions(basePath: string): Promise<Map<bigint, string> | undefined> {
  let names: string[];
  try {
    names = await readdir(basePath);
  } catch {
    return undefined;
  }
  const versions = new Map<bigint, string>();
  for (const name of names.toSorted()) {
    if (!/^\d{1,19}$/.test(name) || BigInt(name) > MAX_INT64) continue;
    const path = join(basePath, name);
    // A folder may go away while it is looked at.
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) versions.set(BigInt(name), path);
  }
  return versions;
}

/** All files below a version's folder. */
export async function readVersion(path: string): Promise<ModelFiles> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = new Map<string, Uint8Array>();
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const file = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink() && !(await stat(file)).isFile()) continue;
    const bytes = await readFile(file);
    files.set(relative(path, file).replaceAll(sep, "/"), new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  }
  return files;
}
