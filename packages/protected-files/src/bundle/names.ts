import { ProtectedFileError } from "../errors.ts";
import { normalisePath } from "../path.ts";

/** A model and its version, as in `models/<name>/<version>/`. */
export interface ModelVersion {
  readonly name: string;
  readonly version: number;
}

const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const CONTROL = /\p{Cc}/u;

/** Whether name, version and generation can stand in a manifest and in a path. */
export function isUsableModel(model: ModelVersion, generation: number): boolean {
  return MODEL_NAME.test(model.name) && isCount(model.version) && isCount(generation);
}

export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Whether a path is relative, in normal form, stays below its directory and has no control characters. */
export function isPlainPath(path: string): boolean {
  const escapes = path.startsWith("/") || path === ".." || path.startsWith("../");
  return path !== "" && !escapes && path.isWellFormed() && !CONTROL.test(path) && normalisePath(path) === path;
}

/** Throws TREE_PATH_UNSAFE, naming the path, where it is not plain. */
export function checkPlainPath(path: string): void {
  if (!isPlainPath(path)) throw new ProtectedFileError("TREE_PATH_UNSAFE", { subject: path });
}

/** The path that a bundle's file is bound to; equal to the host path of the mount in the enclave's manifest. */
export function bundleBoundPath(model: ModelVersion, path: string): string {
  return `models/${model.name}/${model.version}/${path}`;
}
