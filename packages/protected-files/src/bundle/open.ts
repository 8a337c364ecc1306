import { type KeyObject, verify } from "node:crypto";
import { type Secret, toHex } from "@cloister/encoding";
import { type ProtectedFileCode, ProtectedFileError } from "../errors.ts";
import { ANY_PATH, openFile, type OpenedMetadata, openNodeZero } from "../open.ts";
import { STOCK_TOLERANCES } from "../tolerance.ts";
import { NODE_BYTES } from "../tree.ts";
import {
  type BundleFile,
  type BundleManifest,
  isConsistent,
  sha256Hex,
  signedBytes,
  type SignedBundleManifest,
} from "./manifest.ts";
import { bundleBoundPath, type ModelVersion } from "./names.ts";
import { checkEd25519 } from "./seal.ts";

declare const verified: unique symbol;

/** The plaintext of a model version, every file checked against the owner's signed manifest. Only `openBundle` makes one. */
export interface VerifiedModel {
  readonly [verified]: true;
  readonly model: ModelVersion;
  readonly generation: number;
  /** Plaintext by path relative to the version directory. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** What the reader knows without trusting the bundle. */
export interface BundleExpectation {
  readonly name: string;
  readonly version?: number | undefined;
  readonly minimumGeneration: number;
}

export interface CheckManifestOptions {
  readonly manifest: SignedBundleManifest;
  /** The owner's Ed25519 public key. */
  readonly ownerKey: KeyObject;
  readonly expect: BundleExpectation;
}

export interface OpenBundleOptions extends CheckManifestOptions {
  /** Protected files by path relative to the version directory. */
  readonly sealed: ReadonlyMap<string, Uint8Array>;
  readonly wrapKey: Secret;
}

/**
 * Verifies the manifest, then each file against it, and gives the plaintext of all of them or throws. Codes: those of
 * `checkBundleManifest`, BUNDLE_FILE_MISSING, _EXTRA, _RENAMED, _SWAPPED, _OLDER, _CHANGED with the path as `subject`.
 */
export function openBundle(options: OpenBundleOptions): VerifiedModel {
  const manifest = checkBundleManifest(options);
  checkNames(manifest, options.sealed);
  const files = new Map<string, Uint8Array>();
  for (const entry of manifest.files) {
    const sealed = options.sealed.get(entry.path);
    if (sealed === undefined) throw refused("BUNDLE_FILE_MISSING", entry.path);
    files.set(entry.path, openEntry(manifest, entry, sealed, options.wrapKey));
  }
  const { model, generation } = manifest;
  return { model, generation, files } as unknown as VerifiedModel;
}

/**
 * The manifest, once the owner's signature and the expectations hold. Throws BUNDLE_KEY_UNSUITABLE, BUNDLE_SIGNATURE_INVALID,
 * BUNDLE_MANIFEST_MALFORMED, BUNDLE_MODEL_MISMATCH, BUNDLE_VERSION_MISMATCH, BUNDLE_GENERATION_TOO_OLD.
 */
export function checkBundleManifest({ manifest: signed, ownerKey, expect }: CheckManifestOptions): BundleManifest {
  checkEd25519(ownerKey, "public");
  const { manifest, signature } = signed;
  if (!verify(null, signedBytes(manifest), ownerKey, signature)) {
    throw new ProtectedFileError("BUNDLE_SIGNATURE_INVALID");
  }
  if (!isConsistent(manifest)) throw new ProtectedFileError("BUNDLE_MANIFEST_MALFORMED");
  if (manifest.model.name !== expect.name) throw new ProtectedFileError("BUNDLE_MODEL_MISMATCH");
  if (expect.version !== undefined && manifest.model.version !== expect.version) {
    throw new ProtectedFileError("BUNDLE_VERSION_MISMATCH");
  }
  // Written so that a minimum that is not a number refuses.
  if (!(manifest.generation >= expect.minimumGeneration)) throw new ProtectedFileError("BUNDLE_GENERATION_TOO_OLD");
  return manifest;
}

function checkNames(manifest: BundleManifest, sealed: ReadonlyMap<string, Uint8Array>): void {
  const named = new Set(manifest.files.map((file) => file.path));
  const missing = manifest.files.filter((file) => !sealed.has(file.path));
  const extra = [...sealed].filter(([path]) => !named.has(path));
  const renamed = extra.find(([, bytes]) => missing.some((file) => file.metadataSha256 === nodeZeroDigest(bytes)));
  if (renamed !== undefined) throw refused("BUNDLE_FILE_RENAMED", renamed[0]);
  if (missing[0] !== undefined) throw refused("BUNDLE_FILE_MISSING", missing[0].path);
  if (extra[0] !== undefined) throw refused("BUNDLE_FILE_EXTRA", extra[0][0]);
}

function openEntry(manifest: BundleManifest, entry: BundleFile, sealed: Uint8Array, wrapKey: Secret): Uint8Array {
  const boundPath = bundleBoundPath(manifest.model, entry.path);
  if (nodeZeroDigest(sealed) !== entry.metadataSha256) {
    throw refused(whyOther(manifest, entry, sealed, wrapKey), entry.path);
  }
  const plaintext = openOrRefuse(entry.path, () => openFile(sealed, { wrapKey, boundPath }));
  if (plaintext.length !== entry.sizeBytes || sha256Hex(plaintext) !== entry.sha256) {
    throw refused("BUNDLE_FILE_CHANGED", entry.path);
  }
  return plaintext;
}

/** Which refusal fits a file whose node 0 is not the one the manifest pins. */
function whyOther(manifest: BundleManifest, entry: BundleFile, sealed: Uint8Array, wrapKey: Secret): ProtectedFileCode {
  const digest = nodeZeroDigest(sealed);
  if (manifest.files.some((other) => other.metadataSha256 === digest)) return "BUNDLE_FILE_SWAPPED";
  const opened = tryNodeZero(sealed, wrapKey);
  if (opened === undefined || toHex(opened.header.tag) === entry.metadataTag) return "BUNDLE_FILE_CHANGED";
  const samePath = opened.metadata.boundPath === bundleBoundPath(manifest.model, entry.path);
  return samePath ? "BUNDLE_FILE_OLDER" : "BUNDLE_FILE_SWAPPED";
}

function tryNodeZero(sealed: Uint8Array, wrapKey: Secret): OpenedMetadata | undefined {
  try {
    const options = { wrapKey, boundPath: ANY_PATH, tolerate: STOCK_TOLERANCES } as const;
    return openNodeZero(sealed.subarray(0, NODE_BYTES), sealed.length, options);
  } catch {
    return undefined;
  }
}

function openOrRefuse(path: string, open: () => Uint8Array): Uint8Array {
  try {
    return open();
  } catch (cause) {
    throw new ProtectedFileError("BUNDLE_FILE_CHANGED", { subject: path, cause });
  }
}

function nodeZeroDigest(sealed: Uint8Array): string {
  return sha256Hex(sealed.subarray(0, NODE_BYTES));
}

function refused(code: ProtectedFileCode, path: string): ProtectedFileError {
  return new ProtectedFileError(code, { subject: path });
}
