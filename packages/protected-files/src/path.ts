import { utf8 } from "@cloister/encoding";
import { ProtectedFileError } from "./errors.ts";

/** Longest bound path: 772 bytes in the metadata less the terminating NUL. */
export const MAX_PATH_BYTES = 771;

/** The path to bind, and whether the path given was in that form already (if not, a front end warns). */
export interface BoundPath {
  readonly path: string;
  readonly wasNormal: boolean;
}

/**
 * Gramine's normal form of a path (common/src/path_utils.c): no empty and no `.` components, `a/..` folded, leading `..` of a
 * relative path kept, `/..` is `/`, no trailing slash. `.` becomes the empty string. Purely textual; never fails.
 */
export function normalisePath(path: string): string {
  const absolute = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!absolute) kept.push(part);
  }
  return (absolute ? "/" : "") + kept.join("/");
}

/**
 * The path to write into a file's metadata: normal form, checked. Throws PATH_EMPTY, PATH_TOO_LONG or PATH_MALFORMED.
 */
export function bindPath(path: string): BoundPath {
  const normal = normalisePath(path);
  if (normal === "") throw new ProtectedFileError("PATH_EMPTY");
  encodePath(normal);
  return { path: normal, wasNormal: normal === path };
}

/** UTF-8 bytes of a bound path, without NUL. Throws PATH_TOO_LONG or PATH_MALFORMED. */
export function encodePath(path: string): Uint8Array {
  if (!path.isWellFormed() || path.includes("\0")) throw new ProtectedFileError("PATH_MALFORMED");
  const bytes = utf8(path);
  if (bytes.length > MAX_PATH_BYTES) throw new ProtectedFileError("PATH_TOO_LONG");
  return bytes;
}
