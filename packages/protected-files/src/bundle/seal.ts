import { type KeyObject, sign } from "node:crypto";
import type { Secret } from "@cloister/encoding";
import { ProtectedFileError } from "../errors.ts";
import type { FormatVersion } from "../metadata.ts";
import type { NodeCipher } from "../node-cipher.ts";
import type { RandomSource } from "../random.ts";
import { sealFile } from "../seal.ts";
import { type BundleFile, describeFile, signedBytes, type SignedBundleManifest } from "./manifest.ts";
import { bundleBoundPath, checkPlainPath, isUsableModel, type ModelVersion } from "./names.ts";

export interface SealBundleOptions {
  /** Plaintext by path relative to the model's version directory, any depth. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly model: ModelVersion;
  /** Higher than that of every bundle of this model sealed before. */
  readonly generation: number;
  readonly wrapKey: Secret;
  /** The owner's Ed25519 private key. */
  readonly signingKey: KeyObject;
  readonly formatVersion?: FormatVersion | undefined;
  readonly random?: RandomSource | undefined;
  /** As for `sealFile`. */
  readonly cipher?: NodeCipher | undefined;
}

export interface SealedBundle {
  /** Protected files by the same relative paths. */
  readonly sealed: Map<string, Uint8Array>;
  readonly manifest: SignedBundleManifest;
}

/**
 * Seals every file of a model version, each bound to `models/<name>/<version>/<path>`, and signs the list. Throws
 * BUNDLE_EMPTY, BUNDLE_MODEL_INVALID, BUNDLE_KEY_UNSUITABLE, TREE_PATH_UNSAFE and the codes of `sealFile`.
 */
export function sealBundle(options: SealBundleOptions): SealedBundle {
  const { files, model, generation, signingKey } = options;
  if (files.size === 0) throw new ProtectedFileError("BUNDLE_EMPTY");
  if (!isUsableModel(model, generation)) throw new ProtectedFileError("BUNDLE_MODEL_INVALID");
  checkEd25519(signingKey, "private");
  const sealed = new Map<string, Uint8Array>();
  const entries: BundleFile[] = [];
  for (const path of [...files.keys()].sort()) {
    checkPlainPath(path);
    const plaintext = files.get(path) ?? new Uint8Array();
    const bytes = sealFile(plaintext, { ...options, boundPath: bundleBoundPath(model, path) });
    sealed.set(path, bytes);
    entries.push(describeFile(path, plaintext, bytes));
  }
  return { sealed, manifest: signBundleManifest({ model, generation, files: entries }, signingKey) };
}

/** Signs a manifest made by `sealBundle`'s parts, for front ends that seal file by file. Throws BUNDLE_KEY_UNSUITABLE. */
export function signBundleManifest(
  manifest: SignedBundleManifest["manifest"],
  signingKey: KeyObject,
): SignedBundleManifest {
  checkEd25519(signingKey, "private");
  return { manifest, signature: new Uint8Array(sign(null, signedBytes(manifest), signingKey)) };
}

/** Throws BUNDLE_KEY_UNSUITABLE. */
export function checkEd25519(key: KeyObject, type: "private" | "public"): void {
  if (key.type !== type || key.asymmetricKeyType !== "ed25519") throw new ProtectedFileError("BUNDLE_KEY_UNSUITABLE");
}
