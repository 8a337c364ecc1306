import { open, readFile, rename, unlink } from "node:fs/promises";
import { ReleaseLogError } from "../release-log-error.ts";

const held = new Set<string>();

/**
 * Takes `<path>.lock` for this process, so that two brokers never write one log. A lock left by a process that is gone (or
 * by an earlier process with our number, as in a restarted container) is taken over. Returns the release function.
 * Throws LOG_LOCKED.
 */
export async function lockFile(path: string): Promise<() => Promise<void>> {
  const lock = `${path}.lock`;
  if (held.has(lock)) throw locked();
  held.add(lock);
  try {
    if (!(await tryCreate(lock))) {
      await removeStale(lock);
      if (!(await tryCreate(lock))) throw locked();
    }
  } catch (error) {
    held.delete(lock);
    throw error;
  }
  return async () => {
    await unlink(lock).catch(() => undefined);
    held.delete(lock);
  };
}

async function tryCreate(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, "wx", 0o644);
    await file.writeFile(`${process.pid}\n`);
    await file.close();
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Moves the old lock aside first: of several processes that try, one wins. */
async function removeStale(lock: string): Promise<void> {
  const owner = Number((await readFile(lock, "utf8").catch(() => "")).trim());
  if (isAlive(owner)) throw locked();
  const aside = `${lock}.${process.pid}`;
  await rename(lock, aside).catch(() => undefined);
  await unlink(aside).catch(() => undefined);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

function locked(): ReleaseLogError {
  return new ReleaseLogError("LOG_LOCKED", {
    what: "the release log is in use",
    why: "another broker has it open",
    remedy: "stop that broker, or give this one its own log",
  });
}
