import type { KeyObject } from "node:crypto";
import { constants, copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Secret } from "@cloister/encoding";
import { type BundleFile, describeSealed, type SignedBundleManifest } from "../bundle/manifest.ts";
import { bundleBoundPath } from "../bundle/names.ts";
import { checkEd25519, signBundleManifest } from "../bundle/seal.ts";
import { readNodeZero, withInput } from "./file-io.ts";
import { type OpenBundleToOptions, verifyBundleIn } from "./open-bundle.ts";
import { reEncryptFile, reKeyFile } from "./re-key-file.ts";
import { makeDirectoryAtomically } from "./tree.ts";

export interface ReKeyBundleInOptions extends OpenBundleToOptions {
  readonly newWrapKey: Secret;
  /** The owner's Ed25519 private key, for the new manifest. */
  readonly signingKey: KeyObject;
  /** Higher than the bundle's. */
  readonly generation: number;
  /** Encrypt every file anew instead of writing node 0 only. */
  readonly full?: boolean | undefined;
}

/**
 * Puts a verified bundle under another wrap key: in a copy of its directory (which shares the bodies where the file system can)
 * that takes the directory's place when it is done. Gives the new signed manifest; until the caller has written it, the
 * directory is refused. `reKeyNodeZero` says what a re-key that is not full does not protect against. Rejects with the codes of
 * `verifyBundleIn`.
 */
export async function reKeyBundleIn(directory: string, options: ReKeyBundleInOptions): Promise<SignedBundleManifest> {
  const { generation, signingKey } = options;
  checkEd25519(signingKey, "private");
  const { model, files } = await verifyBundleIn(directory, options);
  const entries = await makeDirectoryAtomically(directory, { replace: true }, async (temporary) => {
    const done: BundleFile[] = [];
    for (const file of files) {
      const copy = join(temporary, file.path);
      await mkdir(dirname(copy), { recursive: true });
      await copyFile(join(directory, file.path), copy, constants.COPYFILE_FICLONE);
      const boundPath = bundleBoundPath(model, file.path);
      const keys = { wrapKey: options.wrapKey, newWrapKey: options.newWrapKey, boundPath };
      await (options.full === true ? reEncryptFile(copy, { ...keys, pool: options.pool }) : reKeyFile(copy, keys));
      done.push({ ...file, ...describeSealed(await withInput(copy, readNodeZero)) });
    }
    return done;
  });
  return signBundleManifest({ model, generation, files: entries }, signingKey);
}
