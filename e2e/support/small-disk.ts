import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * A folder on a disk of its own of that size (a tmpfs mount), so that it can really be full. Undefined where this process may
 * not mount; the caller then uses a storage that refuses, and says so.
 */
export async function mountSmallDisk(t: TestContext, megabytes: number): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "small-disk-"));
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=0755`, "cloister-test", folder]);
  } catch {
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }
  t.after(async () => {
    await run("umount", ["--lazy", folder]);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}
