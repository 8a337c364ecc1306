import { createHash } from "node:crypto";
import { fromHex, fromUtf8, toHex, utf8 } from "@cloister/encoding";
import { fromBase64, toBase64 } from "@cloister/encoding/base64";
import { canonicalJson, type JsonObject, type JsonValue, parseCanonicalJson } from "@cloister/encoding/canonical-json";
import { ProtectedFileError } from "../errors.ts";
import { parseMetadataHeader } from "../metadata.ts";
import { MAX_PLAINTEXT_BYTES, NODE_BYTES } from "../tree.ts";
import { isCount, isPlainPath, isUsableModel, type ModelVersion } from "./names.ts";

/** One sealed file of a bundle. Digests are lower-case hex. */
export interface BundleFile {
  /** Relative to the model's version directory. */
  readonly path: string;
  /** Size and SHA-256 of the plaintext. */
  readonly sizeBytes: number;
  readonly sha256: string;
  /** GCM tag and SHA-256 of node 0; either pins the exact sealed file, since node 0 commits to the whole tree. */
  readonly metadataTag: string;
  readonly metadataSha256: string;
}

/** What the owner signs: which files, sealed how, make up a version of a model. */
export interface BundleManifest {
  readonly model: ModelVersion;
  /** Grows with every sealing; a reader that knows the newest refuses older ones. */
  readonly generation: number;
  /** Sorted by path, each path once. */
  readonly files: readonly BundleFile[];
}

export interface SignedBundleManifest {
  readonly manifest: BundleManifest;
  /** Ed25519 over `signedBytes(manifest)`, 64 bytes. */
  readonly signature: Uint8Array;
}

const TYPE = "cloister-bundle/1";
const MAX_MANIFEST_BYTES = 32 << 20;
const DIGEST_BYTES = 32;
const TAG_BYTES = 16;
const SIGNATURE_BYTES = 64;

/** Entry for a file whose sealed form is `sealed`. */
export function describeFile(path: string, plaintext: Uint8Array, sealed: Uint8Array): BundleFile {
  return { path, sizeBytes: plaintext.length, sha256: sha256Hex(plaintext), ...describeSealed(sealed) };
}

/** The part of an entry that pins the sealed file. */
export function describeSealed(sealed: Uint8Array): Pick<BundleFile, "metadataTag" | "metadataSha256"> {
  const node = sealed.subarray(0, NODE_BYTES);
  return { metadataTag: toHex(parseMetadataHeader(node).tag), metadataSha256: sha256Hex(node) };
}

/** The bytes under the owner's signature: canonical JSON (RFC 8785) with the manifest's type in it. */
export function signedBytes(manifest: BundleManifest): Uint8Array {
  return utf8(canonicalJson(toJson(manifest)));
}

/** Canonical JSON of manifest and signature. */
export function encodeBundleManifest(signed: SignedBundleManifest): Uint8Array {
  return utf8(canonicalJson({ manifest: toJson(signed.manifest), signature: toBase64(signed.signature) }));
}

/**
 * Reads what `encodeBundleManifest` writes, and nothing else: canonical form, no unknown member, sorted unique plain paths.
 * Does not verify the signature; `openBundle` does. Throws BUNDLE_MANIFEST_MALFORMED.
 */
export function decodeBundleManifest(bytes: Uint8Array): SignedBundleManifest {
  const value = parse(bytes);
  const { manifest, signature } = members(value, ["manifest", "signature"]);
  const { type, model, generation, files } = members(manifest, ["type", "model", "generation", "files"]);
  const { name, version } = members(model, ["name", "version"]);
  const decoded = typeof signature === "string" ? fromBase64(signature) : undefined;
  if (type !== TYPE || typeof name !== "string" || !isCount(version) || !isCount(generation)) throw malformed();
  if (decoded?.length !== SIGNATURE_BYTES || !Array.isArray(files)) throw malformed();
  const signed = {
    manifest: { model: { name, version }, generation, files: (files as readonly JsonValue[]).map(decodeFile) },
    signature: decoded,
  };
  if (!isConsistent(signed.manifest)) throw malformed();
  return signed;
}

/** Whether a manifest has a usable model and sorted, unique paths; true of every decoded one. */
export function isConsistent({ model, generation, files }: BundleManifest): boolean {
  const sorted = files.every((file, index) => index === 0 || (files[index - 1]?.path ?? "") < file.path);
  return (
    isUsableModel(model, generation) && files.length > 0 && sorted && files.every((file) => isPlainPath(file.path))
  );
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function toJson(manifest: BundleManifest): JsonObject {
  const { name, version } = manifest.model;
  const files = manifest.files.map(({ path, sizeBytes, sha256, metadataTag, metadataSha256 }) => {
    return { path, sizeBytes, sha256, metadataTag, metadataSha256 };
  });
  return { type: TYPE, model: { name, version }, generation: manifest.generation, files };
}

function decodeFile(value: JsonValue): BundleFile {
  const { path, sizeBytes, ...digests } = members(value, [
    "path",
    "sizeBytes",
    "sha256",
    "metadataTag",
    "metadataSha256",
  ]);
  if (typeof path !== "string" || !isCount(sizeBytes) || sizeBytes > MAX_PLAINTEXT_BYTES) throw malformed();
  return {
    path,
    sizeBytes,
    sha256: hexOf(digests["sha256"], DIGEST_BYTES),
    metadataTag: hexOf(digests["metadataTag"], TAG_BYTES),
    metadataSha256: hexOf(digests["metadataSha256"], DIGEST_BYTES),
  };
}

function hexOf(value: JsonValue | undefined, lengthBytes: number): string {
  const bytes = typeof value === "string" ? fromHex(value) : undefined;
  if (bytes?.length !== lengthBytes || toHex(bytes) !== value) throw malformed();
  return value;
}

function parse(bytes: Uint8Array): JsonValue {
  const text = bytes.length > MAX_MANIFEST_BYTES ? undefined : fromUtf8(bytes);
  if (text === undefined) throw malformed();
  try {
    return parseCanonicalJson(text, { maxLength: MAX_MANIFEST_BYTES, maxDepth: 8 });
  } catch (cause) {
    throw malformed(cause);
  }
}

/** The members of an object that has these and no others. */
function members<Name extends string>(value: JsonValue, names: readonly Name[]): Record<Name, JsonValue> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw malformed();
  const object = value as JsonObject;
  const exact = Object.keys(object).length === names.length && names.every((name) => Object.hasOwn(object, name));
  if (!exact) throw malformed();
  return object as Record<Name, JsonValue>;
}

function malformed(cause?: unknown): ProtectedFileError {
  return new ProtectedFileError("BUNDLE_MANIFEST_MALFORMED", { cause });
}
