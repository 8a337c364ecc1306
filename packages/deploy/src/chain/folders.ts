import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeployError } from "../errors.ts";

/** Written into the work folder, so that only a folder that we made is ever emptied. Holds the process id of its user. */
const MARKER = "made-by-cloister-up";

/** One folder for each actor. Only `host` would be on a machine that nobody trusts. */
export interface WorkFolders {
  readonly root: string;
  readonly owner: string;
  readonly host: string;
  readonly requester: string;
}

/**
 * Makes the work folder, or empties the one of an earlier run. Throws `WORK_FOLDER_NOT_OURS` for a folder with other content and
 * `WORK_FOLDER_IN_USE` while another run lives in it.
 */
export async function prepareFolders(root: string): Promise<WorkFolders> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const content = await readdir(root);
  const marker = join(root, MARKER);
  if (content.length > 0) {
    if (!content.includes(MARKER)) throw notOurs(root);
    if (isAlive(Number(await readFile(marker, "utf8")))) throw inUse(root);
  }
  const folders = {
    root,
    owner: join(root, "owner"),
    host: join(root, "host"),
    requester: join(root, "requester"),
  };
  for (const folder of [folders.owner, folders.host, folders.requester]) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
  }
  await writeFile(marker, String(process.pid));
  return folders;
}

/** Ends the use of the folder; its content stays for a look at it. */
export async function releaseFolders({ root }: WorkFolders): Promise<void> {
  await writeFile(join(root, MARKER), "0");
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function notOurs(root: string): DeployError {
  return new DeployError("WORK_FOLDER_NOT_OURS", {
    what: `the work folder ${root} was not touched`,
    why: "it has content that no earlier run put there",
    remedy: "name an empty folder with --work-dir",
  });
}

function inUse(root: string): DeployError {
  return new DeployError("WORK_FOLDER_IN_USE", {
    what: `the work folder ${root} was not touched`,
    why: "another run is using it",
    remedy: "stop that run, or name another folder with --work-dir",
  });
}
