import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** One version of the encrypted key document. */
export interface StoredDocument {
  readonly bytes: Uint8Array;
  /** Counts replacements; 0 where nobody else can replace it. */
  readonly version: number;
}

/** Where the encrypted key document lies: a file of one broker, or a database that several share. */
export interface KeyStorage {
  /** The newest document; undefined where there is none yet. */
  read(): Promise<StoredDocument | undefined>;
  /** Whether `read` would give another version than this one; undefined stands for none. */
  hasChanged(since: number | undefined): Promise<boolean>;
  /**
   * Puts a document in the place of that version, durably, and returns its version; undefined when another broker was first.
   */
  replace(bytes: Uint8Array, previous: number | undefined): Promise<number | undefined>;
}

/** A file that one process at a time uses. */
export function fileKeyStorage(path: string): KeyStorage {
  return {
    async read() {
      const bytes = await readIfThere(path);
      return bytes === undefined ? undefined : { bytes, version: 0 };
    },
    hasChanged: () => Promise.resolve(false),
    async replace(bytes) {
      await replaceFile(path, bytes);
      return 0;
    },
  };
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
