import type { Secret } from "@cloister/encoding";
import { decryptMetadata, encryptMetadata } from "./metadata.ts";
import { openNodeZero, type OpenOptions } from "./open.ts";
import type { RandomSource } from "./random.ts";

export interface ReKeyOptions extends OpenOptions {
  readonly newWrapKey: Secret;
  readonly random?: RandomSource | undefined;
}

/**
 * Node 0 under another wrap key and a fresh nonce; the rest of the file stays as it is.
 *
 * What this does not do: the keys of the tree stay the same. Whoever had the old wrap key and any earlier copy of node 0 can
 * derive the root's key from it and read the body for as long as the body is not encrypted anew. Re-key to hand a file to
 * another holder; after a leak of the old key, encrypt in full (`reEncryptFile` in the rim) and treat the content as known.
 *
 * Throws the codes of `openNodeZero`, and WRAP_KEY_LENGTH. Clear fields that were tolerated are written as zero.
 */
export function reKeyNodeZero(node: Uint8Array, sealedBytes: number, options: ReKeyOptions): Uint8Array {
  const { header } = openNodeZero(node, sealedBytes, options);
  const plain = decryptMetadata(header, options.wrapKey);
  const { newWrapKey, random } = options;
  return encryptMetadata(plain, { wrapKey: newWrapKey, formatVersion: header.formatVersion, random });
}
