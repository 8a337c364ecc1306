import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { ModelFiles } from "@cloister/saved-model";
import { type ModelSource, versionOf } from "./model-source.ts";

/** Models in folders. */
export const directorySource: ModelSource = { listVersions, readVersion, readFile: readBytes };

/** The version folders of a base path; of two names for one number the last in order counts. */
async function listVersions(basePath: string): Promise<Map<bigint, string> | undefined> {
  let names: string[];
  try {
    names = await readdir(basePath);
  } catch {
    return undefined;
  }
  const versions = new Map<bigint, string>();
  for (const name of names.toSorted()) {
    const version = versionOf(name);
    if (version === undefined) continue;
    const path = join(basePath, name);
    // A folder may go away while it is looked at.
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) versions.set(version, path);
  }
  return versions;
}

async function readVersion(path: string): Promise<ModelFiles> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = new Map<string, Uint8Array>();
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const file = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink() && !(await stat(file)).isFile()) continue;
    files.set(relative(path, file).replaceAll(sep, "/"), await readBytes(file));
  }
  return files;
}

async function readBytes(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
