import type { KeyObject } from "node:crypto";
import type { Secret } from "@cloister/encoding";
import { ProtectedFileError } from "../errors.ts";
import { reKeyNodeZero } from "../re-key.ts";
import type { RandomSource } from "../random.ts";
import { NODE_BYTES } from "../tree.ts";
import { describeSealed, type SignedBundleManifest } from "./manifest.ts";
import { bundleBoundPath } from "./names.ts";
import { openBundle, type OpenBundleOptions } from "./open.ts";
import { checkEd25519, type SealedBundle, signBundleManifest } from "./seal.ts";

export interface ReKeyBundleOptions extends OpenBundleOptions {
  readonly newWrapKey: Secret;
  /** The owner's Ed25519 private key, for the new manifest. */
  readonly signingKey: KeyObject;
  readonly random?: RandomSource | undefined;
}

/**
 * A verified bundle under another wrap key: node 0 of each file is new, the bodies are copied as they are, the manifest has
 * the next generation. `reKeyNodeZero` says what this does not protect against. Throws the codes of `openBundle`.
 */
export function reKeyBundle(options: ReKeyBundleOptions): SealedBundle {
  checkEd25519(options.signingKey, "private");
  const { model, generation } = openBundle(options);
  const sealed = new Map<string, Uint8Array>();
  const files = options.manifest.manifest.files.map((file) => {
    const old = options.sealed.get(file.path);
    if (old === undefined) throw new ProtectedFileError("BUNDLE_FILE_MISSING", { subject: file.path });
    const { wrapKey, newWrapKey, random } = options;
    const boundPath = bundleBoundPath(model, file.path);
    const fresh = old.slice();
    fresh.set(reKeyNodeZero(old.subarray(0, NODE_BYTES), old.length, { wrapKey, newWrapKey, boundPath, random }));
    sealed.set(file.path, fresh);
    return { ...file, ...describeSealed(fresh) };
  });
  const manifest: SignedBundleManifest["manifest"] = { model, generation: generation + 1, files };
  return { sealed, manifest: signBundleManifest(manifest, options.signingKey) };
}
