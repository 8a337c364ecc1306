import { access, readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { engineError } from "../failure.ts";
import { LIBRARY_FILES } from "./c-api.ts";
import { TENSORFLOW_RELEASE } from "./release.ts";

/** The environment that says where to look. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder that `cloister engine install tensorflow` fills: one for each user. */
export function installFolder(environment: Environment = process.env): string {
  const data = environment["XDG_DATA_HOME"] ?? join(homedir(), ".local/share");
  return join(data, "cloister/engines", `tensorflow-${TENSORFLOW_RELEASE.version}`);
}

/**
 * The folder with TensorFlow's library: `CLOISTER_TENSORFLOW` where it is set (and no other then), else what `cloister engine
 * install` has put there, else a Python wheel in the active virtual environment or where the system keeps Python packages.
 */
export async function findLibrary(environment: Environment = process.env): Promise<string | undefined> {
  const given = environment["CLOISTER_TENSORFLOW"];
  if (given !== undefined && given !== "") return (await hasLibrary(given)) ? given : undefined;
  for (const folder of [installFolder(environment), ...(await wheelFolders(environment))]) {
    if (await hasLibrary(folder)) return folder;
  }
  return undefined;
}

/** @throws EngineError ENGINE_MISSING */
export async function requireLibrary(environment: Environment = process.env): Promise<string> {
  const folder = await findLibrary(environment);
  if (folder !== undefined) return folder;
  throw engineError(
    "ENGINE_MISSING",
    "TensorFlow's library is not there",
    "it is neither installed by this command line, nor part of a Python installation",
    "run: cloister engine install tensorflow, or set CLOISTER_TENSORFLOW to the folder that holds it",
  );
}

export async function hasLibrary(folder: string): Promise<boolean> {
  try {
    for (const file of LIBRARY_FILES) await access(join(folder, file));
    return true;
  } catch {
    return false;
  }
}

/** Where pip puts the wheel `tensorflow` or `tensorflow-cpu`: lib/python3.N/site-packages (dist-packages on Debian). */
async function wheelFolders(environment: Environment): Promise<string[]> {
  const roots = [environment["VIRTUAL_ENV"], join(homedir(), ".local"), "/usr/local", "/usr"];
  const folders: string[] = [];
  for (const root of roots.filter((each) => each !== undefined)) {
    for (const python of await pythonFolders(join(root, "lib"))) {
      folders.push(join(python, "site-packages/tensorflow"), join(python, "dist-packages/tensorflow"));
    }
  }
  return folders;
}

async function pythonFolders(lib: string): Promise<string[]> {
  const names = await readdir(lib).catch(() => []);
  return names.filter((name) => /^python3(\.\d+)?$/.test(name)).map((name) => join(lib, name));
}
