import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Secret } from "@cloister/encoding";
import { ProtectedFileError } from "../errors.ts";
import type { FormatVersion } from "../metadata.ts";
import { ANY_PATH } from "../open.ts";
import { bindPath } from "../path.ts";
import type { Tolerance } from "../tolerance.ts";
import { hasErrno } from "./errno.ts";
import { openFileTo } from "./open-file.ts";
import { sealFileTo, type WorkOptions } from "./seal-file.ts";
import { listTree } from "./tree.ts";

// The work of gramine-sgx-pf-crypt's encrypt and decrypt modes: a file, or a directory with everything below it. Where ours
// differs on purpose: a missing input is an error, nothing is overwritten unasked, no output appears before all of it verified.

export interface CryptPathOptions extends WorkOptions {
  /** File or directory. Symbolic links are followed, as the stock tool does. */
  readonly input: string;
  readonly output: string;
  readonly wrapKey: Secret;
  readonly overwrite?: boolean | undefined;
}

export interface EncryptPathOptions extends CryptPathOptions {
  /** Path to bind instead of `output`; for a directory, the prefix of each file's path. */
  readonly boundPath?: string | undefined;
  readonly formatVersion?: FormatVersion | undefined;
}

export interface DecryptPathOptions extends CryptPathOptions {
  /**
   * Path the file must be bound to (for a directory, the prefix). `input` is what the stock tool compares with under `-V`;
   * without a path nothing is compared, as the stock tool does without `-V`.
   */
  readonly boundPath?: string | undefined;
  readonly tolerate?: readonly Tolerance[] | undefined;
}

export interface CryptedFile {
  readonly input: string;
  readonly output: string;
  readonly boundPath: string;
  /** Encrypting only: whether the path to bind was given in normal form; if not, a front end warns. */
  readonly wasNormal: boolean;
  readonly sizeBytes: number;
}

/** Encrypts a file or a tree. Rejects with the codes of `sealFileTo` and `listTree`; files done before stay. */
export async function encryptPath(options: EncryptPathOptions): Promise<CryptedFile[]> {
  const { boundPath = options.output } = options;
  return forEachFile(options, async (input, output, relative) => {
    const asked = relative === undefined ? boundPath : `${boundPath}/${relative}`;
    const bound = bindPath(asked);
    const { sizeBytes } = await sealFileTo(input, output, { ...options, boundPath: bound.path });
    // A trailing slash of a directory doubles in `asked`; only what the caller wrote counts.
    const wasNormal = relative === undefined ? bound.wasNormal : bindPath(boundPath).path === withoutSlash(boundPath);
    return { input, output, boundPath: bound.path, wasNormal, sizeBytes };
  });
}

/** Decrypts a file or a tree. Rejects with the codes of `openFileTo` and `listTree`; files done before stay. */
export async function decryptPath(options: DecryptPathOptions): Promise<CryptedFile[]> {
  const { boundPath: prefix } = options;
  return forEachFile(options, async (input, output, relative) => {
    const boundPath = prefix === undefined ? ANY_PATH : relative === undefined ? prefix : `${prefix}/${relative}`;
    const opened = await openFileTo(input, output, { ...options, boundPath });
    return { input, output, ...opened, wasNormal: true };
  });
}

async function forEachFile(
  options: CryptPathOptions,
  work: (input: string, output: string, relative: string | undefined) => Promise<CryptedFile>,
): Promise<CryptedFile[]> {
  const { input, output } = options;
  if (!(await isDirectory(input))) return [await work(input, output, undefined)];
  const done: CryptedFile[] = [];
  const limits = { followLinks: true, maxFiles: 1_000_000, maxBytes: Infinity };
  for (const { path } of await listTree(input, limits)) {
    await mkdir(dirname(join(output, path)), { recursive: true });
    done.push(await work(join(input, path), join(output, path), path));
  }
  return done;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (!hasErrno(cause, "ENOENT", "ENOTDIR")) throw cause;
    throw new ProtectedFileError("INPUT_MISSING", { subject: path, cause });
  }
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
