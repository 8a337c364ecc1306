// TensorFlow loads a SavedModel from a path. It has a file system in its own memory (`ram://`, tsl/platform/ram_file_system.h):
// a model that was opened in memory never leaves the process, whatever file systems the machine or the enclave has.

import type { ModelFiles } from "@cloister/saved-model";
import type { CApi } from "./c-api.ts";
import { withStatus } from "./status.ts";

/** Bytes handed over at a time. */
const CHUNK = 64 * 2 ** 20;

let next = 0;

/** A model in TensorFlow's memory, until `remove`. */
export interface MemoryModel {
  readonly path: string;
  readonly remove: () => void;
}

/** Copies the files of a model there. @throws TensorFlowError */
export function writeMemoryModel(api: CApi, files: ModelFiles): MemoryModel {
  const path = `ram://cloister-${next++}`;
  const folders = [path, ...foldersOf(files.keys()).map((folder) => `${path}/${folder}`)];
  const written: string[] = [];
  const remove = (): void => {
    for (const file of written) withStatus(api, (status) => api.deleteFile(file, status));
    for (const folder of folders.toReversed()) withStatus(api, (status) => api.deleteDir(folder, status));
  };
  for (const folder of folders) withStatus(api, (status) => api.createDir(folder, status));
  for (const [name, bytes] of files) {
    written.push(`${path}/${name}`);
    writeFile(api, `${path}/${name}`, bytes);
  }
  return { path, remove };
}

/** Folders of the files, parents first. */
function foldersOf(paths: Iterable<string>): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/").slice(0, -1);
    for (const [index] of parts.entries()) folders.add(parts.slice(0, index + 1).join("/"));
  }
  return [...folders].toSorted();
}

function writeFile(api: CApi, path: string, bytes: Uint8Array): void {
  const handle = new BigUint64Array(1);
  withStatus(api, (status) => api.newWritableFile(path, handle, status));
  const file = Number(handle[0]);
  try {
    for (let from = 0; from < bytes.length; from += CHUNK) {
      const chunk = bytes.subarray(from, from + CHUNK);
      withStatus(api, (status) => api.appendWritableFile(file, chunk, chunk.length, status));
    }
  } finally {
    withStatus(api, (status) => api.closeWritableFile(file, status));
  }
}
