import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs `use` with a new empty directory that is removed afterwards. Used by tests only. */
export async function inDirectory(use: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "protected-files-"));
  try {
    await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
