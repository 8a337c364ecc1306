import { asBuffer, equalBytes, fromUtf8, isZero, type Secret, utf8 } from "@cloister/encoding";
import { ProtectedFileError } from "./errors.ts";
import { deriveMetadataKey, KEY_BYTES, NONCE_BYTES } from "./kdf.ts";
import { gcmDecrypt, gcmEncrypt, keyText } from "./gcm.ts";
import { encodePath, MAX_PATH_BYTES } from "./path.ts";
import { type RandomSource, systemRandom } from "./random.ts";
import { allows, type Tolerance } from "./tolerance.ts";
import { ENTRY_BYTES, HEAD_BYTES, MAX_PLAINTEXT_BYTES, NODE_BYTES } from "./tree.ts";

/** On-disk format: 1.0 (Gramine 1.0 to 1.8, and read by all) or 2.0 (Gramine 1.9: one more byte of feature flags). */
export type FormatVersion = "1.0" | "2.0";

/** Clear fields of a metadata node. All of it is the attacker's to choose until `openMetadata` has verified the tag. */
export interface MetadataHeader {
  readonly formatVersion: FormatVersion;
  readonly minor: number;
  readonly nonce: Uint8Array;
  /** GCM tag of the encrypted part; it commits to the whole file. */
  readonly tag: Uint8Array;
  /** Feature flags of format 2.0, 0 in format 1.0. Bit 0: has-pending-write. */
  readonly flags: number;
  readonly encrypted: Uint8Array;
}

/** Fields of the encrypted part. */
export interface Metadata {
  readonly boundPath: string;
  readonly sizeBytes: number;
  /** Key and tag of the root MHT node; zeros, or stale, in a file of at most 3072 bytes. */
  readonly rootEntry: Uint8Array;
  /** First 3072 bytes of the plaintext; what lies past the size is meaningless. */
  readonly head: Uint8Array;
}

const MAGIC = utf8("GRAFS_PF");
const MINOR_AT = MAGIC.length + 1;
const NONCE_AT = MAGIC.length + 2;
const TAG_AT = NONCE_AT + NONCE_BYTES;
const FLAGS_AT = TAG_AT + KEY_BYTES;
const PENDING_WRITE = 1;
const PATH_FIELD_BYTES = MAX_PATH_BYTES + 1;
const ROOT_AT = PATH_FIELD_BYTES + 8;
const HEAD_AT = ROOT_AT + ENTRY_BYTES;
const ENCRYPTED_BYTES = HEAD_AT + HEAD_BYTES;

/** Offset of the encrypted part: format 2.0 has the flags byte before it. */
function encryptedOffset(formatVersion: FormatVersion): number {
  return formatVersion === "1.0" ? FLAGS_AT : FLAGS_AT + 1;
}

/**
 * Clear fields of node 0, with every check that needs no key. Throws LENGTH_NOT_NODES, MAGIC_UNKNOWN, VERSION_UNSUPPORTED, and,
 * where `tolerate` does not name them, MINOR_VERSION_UNKNOWN, PENDING_WRITE, FEATURE_FLAGS_UNKNOWN, METADATA_PADDING_NOT_ZERO.
 */
export function parseMetadataHeader(node: Uint8Array, tolerate?: readonly Tolerance[]): MetadataHeader {
  if (node.length !== NODE_BYTES) throw new ProtectedFileError("LENGTH_NOT_NODES");
  if (!equalBytes(node.subarray(0, MAGIC.length), MAGIC)) throw new ProtectedFileError("MAGIC_UNKNOWN");
  const major = node[MAGIC.length];
  if (major !== 1 && major !== 2) throw new ProtectedFileError("VERSION_UNSUPPORTED");
  const formatVersion = major === 1 ? "1.0" : "2.0";
  const start = encryptedOffset(formatVersion);
  const header = {
    formatVersion,
    minor: node[MINOR_AT] ?? 0,
    nonce: node.subarray(NONCE_AT, TAG_AT),
    tag: node.subarray(TAG_AT, FLAGS_AT),
    flags: formatVersion === "1.0" ? 0 : (node[FLAGS_AT] ?? 0),
    encrypted: node.subarray(start, start + ENCRYPTED_BYTES),
  } as const;
  checkUnauthenticated(header, node.subarray(start + ENCRYPTED_BYTES), tolerate);
  return header;
}

function checkUnauthenticated(
  header: MetadataHeader,
  padding: Uint8Array,
  tolerate: readonly Tolerance[] | undefined,
): void {
  if (header.minor !== 0 && !allows(tolerate, "minor-version")) throw new ProtectedFileError("MINOR_VERSION_UNKNOWN");
  if ((header.flags & PENDING_WRITE) !== 0 && !allows(tolerate, "pending-write")) {
    throw new ProtectedFileError("PENDING_WRITE");
  }
  if ((header.flags & ~PENDING_WRITE) !== 0 && !allows(tolerate, "feature-flags")) {
    throw new ProtectedFileError("FEATURE_FLAGS_UNKNOWN");
  }
  if (!isZero(padding) && !allows(tolerate, "metadata-padding")) {
    throw new ProtectedFileError("METADATA_PADDING_NOT_ZERO");
  }
}

/** The decrypted part, 3884 bytes, as it stands. Throws METADATA_NOT_AUTHENTIC. */
export function decryptMetadata(header: MetadataHeader, wrapKey: Secret): Uint8Array {
  const plain = gcmDecrypt(keyText(deriveMetadataKey(wrapKey, header.nonce)), header.tag, header.encrypted);
  if (plain === undefined) throw new ProtectedFileError("METADATA_NOT_AUTHENTIC");
  return new Uint8Array(plain);
}

/** Verified fields of the encrypted part. Throws METADATA_NOT_AUTHENTIC, PATH_MALFORMED, SIZE_OUT_OF_RANGE. */
export function openMetadata(header: MetadataHeader, wrapKey: Secret): Metadata {
  const plain = decryptMetadata(header, wrapKey);
  const pathField = plain.subarray(0, PATH_FIELD_BYTES);
  // Bytes after the first NUL are ignored, as C readers do: a writer that renamed a file may have left some.
  const end = pathField.indexOf(0);
  const boundPath = end === -1 ? undefined : fromUtf8(pathField.subarray(0, end));
  if (boundPath === undefined) throw new ProtectedFileError("PATH_MALFORMED");
  const size = asBuffer(plain).readBigUInt64LE(PATH_FIELD_BYTES);
  if (size > BigInt(MAX_PLAINTEXT_BYTES)) throw new ProtectedFileError("SIZE_OUT_OF_RANGE");
  return {
    boundPath,
    sizeBytes: Number(size),
    rootEntry: plain.subarray(ROOT_AT, HEAD_AT),
    head: plain.subarray(HEAD_AT),
  };
}

/** Node 0 for these fields under a fresh nonce; `boundPath` is written as given. Throws PATH_TOO_LONG, PATH_MALFORMED. */
export function sealMetadata(metadata: Metadata, options: MetadataSealOptions): Uint8Array {
  const plain = new Uint8Array(ENCRYPTED_BYTES);
  plain.set(encodePath(metadata.boundPath));
  asBuffer(plain).writeBigUInt64LE(BigInt(metadata.sizeBytes), PATH_FIELD_BYTES);
  plain.set(metadata.rootEntry, ROOT_AT);
  plain.set(metadata.head, HEAD_AT);
  return encryptMetadata(plain, options);
}

export interface MetadataSealOptions {
  readonly wrapKey: Secret;
  readonly formatVersion?: FormatVersion | undefined;
  readonly random?: RandomSource | undefined;
}

/** Node 0 around a decrypted part of 3884 bytes, under a fresh nonce; flags and padding are zero. */
export function encryptMetadata(plain: Uint8Array, options: MetadataSealOptions): Uint8Array {
  const { wrapKey, formatVersion = "1.0", random = systemRandom } = options;
  const nonce = random(NONCE_BYTES);
  const { ciphertext, tag } = gcmEncrypt(keyText(deriveMetadataKey(wrapKey, nonce)), plain);
  const node = new Uint8Array(NODE_BYTES);
  node.set(MAGIC);
  node[MAGIC.length] = formatVersion === "1.0" ? 1 : 2;
  node.set(nonce, NONCE_AT);
  node.set(tag, TAG_AT);
  node.set(ciphertext, encryptedOffset(formatVersion));
  return node;
}
