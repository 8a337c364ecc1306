import { createHash, type KeyObject } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Secret } from "@cloister/encoding";
import { type BundleFile, describeSealed, type SignedBundleManifest } from "../bundle/manifest.ts";
import { bundleBoundPath, isUsableModel, type ModelVersion } from "../bundle/names.ts";
import { checkEd25519, signBundleManifest } from "../bundle/seal.ts";
import { ProtectedFileError } from "../errors.ts";
import type { FormatVersion } from "../metadata.ts";
import { readNodeZero, withInput } from "./file-io.ts";
import { sealFileTo, type WorkOptions } from "./seal-file.ts";
import { listTree, makeDirectoryAtomically, type TreeFile, type TreeLimits } from "./tree.ts";

export interface SealBundleToOptions extends WorkOptions {
  readonly model: ModelVersion;
  /** Higher than that of every bundle of this model sealed before. */
  readonly generation: number;
  readonly wrapKey: Secret;
  /** The owner's Ed25519 private key. */
  readonly signingKey: KeyObject;
  readonly formatVersion?: FormatVersion | undefined;
  readonly limits?: TreeLimits | undefined;
  /** Replace a directory that is there. Default false: OUTPUT_EXISTS. */
  readonly replace?: boolean | undefined;
}

/**
 * `sealBundle` from directory to directory, for models larger than memory: seals every file below `input` into the new
 * directory `output`, which appears when all is done, and gives the signed manifest. Rejects with the codes of `sealBundle`,
 * `listTree` and `sealFileTo`, and with OUTPUT_EXISTS.
 */
export async function sealBundleTo(
  input: string,
  output: string,
  options: SealBundleToOptions,
): Promise<SignedBundleManifest> {
  const { model, generation, signingKey } = options;
  if (!isUsableModel(model, generation)) throw new ProtectedFileError("BUNDLE_MODEL_INVALID");
  checkEd25519(signingKey, "private");
  const files = await listTree(input, options.limits);
  if (files.length === 0) throw new ProtectedFileError("BUNDLE_EMPTY");
  const entries = await makeDirectoryAtomically(output, options, (temporary) =>
    sealInto(input, temporary, files, options),
  );
  return signBundleManifest({ model, generation, files: entries }, signingKey);
}

async function sealInto(
  input: string,
  output: string,
  files: readonly TreeFile[],
  options: SealBundleToOptions,
): Promise<BundleFile[]> {
  const { model, onProgress } = options;
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const entries: BundleFile[] = [];
  let doneBytes = 0;
  for (const { path } of files) {
    const [plain, sealed] = [join(input, path), join(output, path)];
    await mkdir(dirname(sealed), { recursive: true });
    const before = doneBytes;
    const { sizeBytes } = await sealFileTo(plain, sealed, {
      ...options,
      boundPath: bundleBoundPath(model, path),
      onProgress: (bytes) => onProgress?.(before + bytes, totalBytes),
    });
    doneBytes += sizeBytes;
    // Hashed on its own, since the sealing reads out of order: a file that changed in between fails to open later.
    entries.push({ path, sizeBytes, sha256: await hashFile(plain), ...describeSealed(await nodeZeroOf(sealed)) });
  }
  return entries;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  for await (const chunk of file.createReadStream()) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

async function nodeZeroOf(path: string): Promise<Uint8Array> {
  return withInput(path, readNodeZero);
}
