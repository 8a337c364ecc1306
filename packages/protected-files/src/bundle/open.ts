import { type KeyObject, verify } from "node:crypto";
import { type Secret, toHex } from "@cloister/encoding";
import { type ProtectedFileCode, ProtectedFileError } from "../errors.ts";
import type { NodeCipher } from "../node-cipher.ts";
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
  /** As for `openFile`. */
  readonly cipher?: NodeCipher | undefined;
}

/**
 * Verifies the manifest, then each file against it, and gives the plaintext of all of them or throws. Codes: those of
 * `checkBundleManifest`, BUNDLE_FILE_MISSING, _EXTRA, _RENAMED, _SWAPPED, _OLDER, _CHANGED with the path as `subject`.
 */
export function openBundle(options: OpenBundleOptions): VerifiedModel {
  const { sealed, wrapKey, cipher } = options;
  const manifest = checkBundleManifest(options);
  checkNames(manifest, new Map([...sealed].map(([path, bytes]) => [path, nodeZeroOf(bytes)])));
  const files = new Map<string, Uint8Array>();
  for (const entry of manifest.files) {
    const bytes = sealed.get(entry.path) ?? new Uint8Array();
    const boundPath = checkNodeZero(manifest, entry, nodeZeroOf(bytes), bytes.length, wrapKey);
    const plaintext = openOrRefuse(entry.path, () => openFile(bytes, { wrapKey, boundPath, cipher }));
    checkPlaintext(entry, plaintext.length, sha256Hex(plaintext));
    files.set(entry.path, plaintext);
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

/** Throws unless exactly the files of the manifest are there. `nodes` holds the first 4096 bytes of each. */
export function checkNames(manifest: BundleManifest, nodes: ReadonlyMap<string, Uint8Array>): void {
  const named = new Set(manifest.files.map((file) => file.path));
  const missing = manifest.files.filter((file) => !nodes.has(file.path));
  const extra = [...nodes].filter(([path]) => !named.has(path));
  const renamed = extra.find(([, node]) => missing.some((file) => file.metadataSha256 === sha256Hex(node)));
  if (renamed !== undefined) throw refused("BUNDLE_FILE_RENAMED", renamed[0]);
  if (missing[0] !== undefined) throw refused("BUNDLE_FILE_MISSING", missing[0].path);
  if (extra[0] !== undefined) throw refused("BUNDLE_FILE_EXTRA", extra[0][0]);
}

/** Throws unless a file starts with the node 0 that the manifest pins; gives the path it has to be bound to. */
export function checkNodeZero(
  manifest: BundleManifest,
  entry: BundleFile,
  node: Uint8Array,
  sealedBytes: number,
  wrapKey: Secret,
): string {
  if (sha256Hex(node) !== entry.metadataSha256) {
    throw refused(whyOther(manifest, entry, { node, sealedBytes, wrapKey }), entry.path);
  }
  return bundleBoundPath(manifest.model, entry.path);
}

/** Throws BUNDLE_FILE_CHANGED unless the plaintext is the one the manifest names. */
export function checkPlaintext(entry: BundleFile, sizeBytes: number, sha256: string): void {
  if (sizeBytes !== entry.sizeBytes || sha256 !== entry.sha256) throw refused("BUNDLE_FILE_CHANGED", entry.path);
}

interface OtherFile {
  readonly node: Uint8Array;
  readonly sealedBytes: number;
  readonly wrapKey: Secret;
}

/** Which refusal fits a file whose node 0 is not the one the manifest pins. */
function whyOther(manifest: BundleManifest, entry: BundleFile, file: OtherFile): ProtectedFileCode {
  const digest = sha256Hex(file.node);
  if (manifest.files.some((other) => other.metadataSha256 === digest)) return "BUNDLE_FILE_SWAPPED";
  const opened = tryNodeZero(file);
  if (opened === undefined || toHex(opened.header.tag) === entry.metadataTag) return "BUNDLE_FILE_CHANGED";
  const samePath = opened.metadata.boundPath === bundleBoundPath(manifest.model, entry.path);
  return samePath ? "BUNDLE_FILE_OLDER" : "BUNDLE_FILE_SWAPPED";
}

function tryNodeZero({ node, sealedBytes, wrapKey }: OtherFile): OpenedMetadata | undefined {
  try {
    return openNodeZero(node, sealedBytes, { wrapKey, boundPath: ANY_PATH, tolerate: STOCK_TOLERANCES });
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

function nodeZeroOf(sealed: Uint8Array): Uint8Array {
  return sealed.subarray(0, NODE_BYTES);
}

function refused(code: ProtectedFileCode, path: string): ProtectedFileError {
  return new ProtectedFileError(code, { subject: path });
}
