import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeCgroups } from "./node.ts";
import { run, waitFor } from "./process.ts";

/** Written into a rig's folder: the process that has to end it. */
export const OWNER_FILE = "owner.pid";
export const FOLDER_PREFIX = "cloister-rig-";

/** Removes what rigs left behind whose owner was killed: their processes, network namespaces, cgroups and folders. */
export async function sweepRigs(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(FOLDER_PREFIX))) {
    const folder = join(tmpdir(), name);
    if (isAlive(folder)) continue;
    const id = idOf(name);
    for (const namespace of await namespacesOf(id)) {
      // Exactly the processes inside: nobody else is in these namespaces.
      for (const pid of (await run("ip", ["netns", "pids", namespace])).split("\n").filter(Boolean)) {
        try {
          process.kill(Number(pid), "SIGKILL");
        } catch {
          // It ended by itself.
        }
      }
      await run("ip", ["netns", "delete", namespace]);
    }
    const groups = [0, 1].map((index) => `cloister-${id}-n${index}`);
    await waitFor("the end of an old rig", () =>
      Promise.resolve(groups.map(removeCgroups).every(Boolean) || undefined),
    );
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a rig's names in the kernel are made of. */
export const idOf = (folderName: string): string => folderName.slice(-6).toLowerCase();

async function namespacesOf(id: string): Promise<string[]> {
  const names = (await run("ip", ["netns", "list"])).split("\n").map((line) => line.split(" ")[0] ?? "");
  return names.filter((name) => name.startsWith(`cloister-${id}`));
}

function isAlive(folder: string): boolean {
  const file = join(folder, OWNER_FILE);
  return existsSync(file) && existsSync(`/proc/${readFileSync(file, "utf8")}`);
}
