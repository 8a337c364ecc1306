import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What must not be found. */
export interface Needle {
  readonly what: string;
  readonly bytes: Buffer;
}

/** Where it is looked for. */
export interface Haystack {
  readonly where: string;
  readonly bytes: Buffer;
}

/** A secret as raw bytes, hex and base64. */
export function spellings(what: string, secret: Buffer): Needle[] {
  const base64 = secret.toString("base64").replace(/=+$/, "");
  return [
    { what, bytes: secret },
    { what: `${what} in hex`, bytes: Buffer.from(secret.toString("hex")) },
    // The last characters depend on what follows.
    { what: `${what} in base64`, bytes: Buffer.from(base64.slice(0, -2)) },
  ];
}

/** Every file below a folder. */
export async function filesBelow(folder: string): Promise<Haystack[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (where) => ({ where, bytes: await readFile(where) })));
}

/** Arguments and environment of processes, as everybody on the machine can read them. */
export async function processesOf(pids: readonly number[]): Promise<Haystack[]> {
  const paths = pids.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]);
  return Promise.all(paths.map(async (where) => ({ where, bytes: await readFile(where) })));
}
