import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EnclaveError } from "../errors.ts";
import { type DynamicNeeds, parseDynamicNeeds } from "../sgx/elf-dynamic.ts";

const MAX_LIBRARIES = 1000;

export interface LibrarySearch {
  /** Folders in the order of LD_LIBRARY_PATH: Gramine's own C library first. */
  readonly folders: readonly string[];
  /** Prefix of every path on this machine, where the files lie in an unpacked image. */
  readonly sysroot?: string;
}

/**
 * The libraries that programs and libraries load, found as the dynamic linker in the enclave finds them: absolute paths, sorted,
 * without the ones given. Libraries that programs open by name at run time are not in their headers: name them too. Throws
 * `LIBRARY_NOT_FOUND`, `ELF_MALFORMED`.
 */
export async function neededLibraries(paths: readonly string[], search: LibrarySearch): Promise<string[]> {
  const found = new Map<string, string>();
  const queue = [...paths];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const needs = parseDynamicNeeds(new Uint8Array(await readFile(join(search.sysroot ?? "", path))));
    const names = needs.interpreter === null ? needs.needed : [...needs.needed, basename(needs.interpreter)];
    for (const name of names) {
      if (found.has(name)) continue;
      const library = await locate(name, path, needs, search);
      found.set(name, library);
      queue.push(library);
      if (found.size > MAX_LIBRARIES) throw notFound(name, path, "there are too many libraries");
    }
  }
  return [...new Set(found.values())].filter((library) => !paths.includes(library)).sort();
}

/** First of the folders that holds a library of that name; undefined where none does. */
export async function findLibrary(name: string, { folders, sysroot = "" }: LibrarySearch): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name);
    if (await isFile(join(sysroot, path))) return path;
  }
  return undefined;
}

async function locate(name: string, user: string, needs: DynamicNeeds, search: LibrarySearch): Promise<string> {
  const own = needs.searchPath.map((folder) => folder.replace(/\$\{?ORIGIN\}?/, dirname(user)));
  const path = await findLibrary(name, { ...search, folders: [...own, ...search.folders] });
  if (path === undefined) throw notFound(name, user, "no folder of the search path holds it");
  return path;
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function notFound(name: string, user: string, why: string): EnclaveError {
  return new EnclaveError("LIBRARY_NOT_FOUND", {
    what: `the library ${name}, which ${user} needs, was not found`,
    why,
    remedy: "install it, or name its folder with --library-folder",
  });
}
