import { open, readFile, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BrokerError } from "../broker-error.ts";

const LOCK_WAIT_MS = 10_000;
const LOCK_POLL_MS = 50;

/** A file as it was last seen: its content and a mark that changes with it. */
export interface SeenFile {
  readonly bytes: Uint8Array | undefined;
  readonly mark: string;
}

/** Reads a file, or tells that there is none. */
export async function readFileWithMark(path: string): Promise<SeenFile> {
  // The mark first: a change in between is seen as a change the next time.
  const mark = await fileMark(path);
  return { mark, bytes: mark === "" ? undefined : await readFile(path) };
}

/** Changes whenever the file is replaced or written; empty where there is none. */
export async function fileMark(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

/** Replaces a file whole or not at all, mode 0600; on the disk when it resolves. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
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

/** Runs work while no other process does so for the same path. Throws KEY_STORE_BUSY after 10 s. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  const until = Date.now() + LOCK_WAIT_MS;
  while (!(await tryLock(lock))) {
    if (Date.now() > until) {
      throw new BrokerError("KEY_STORE_BUSY", {
        what: "the key store was not changed",
        why: "another process is changing it",
        remedy: `try again; remove ${lock} if no process is left`,
      });
    }
    await sleep(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await unlink(lock).catch(() => undefined);
  }
}

async function tryLock(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, "wx", 0o600);
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  const owner = Number(await readFile(lock, "utf8").catch(() => ""));
  // An empty lock is one that is being made. One of our own number is from before a restart of the container.
  if (owner > 0 && owner !== process.pid && !isAlive(owner)) await unlink(lock).catch(() => undefined);
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);
