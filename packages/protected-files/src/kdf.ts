import type { Secret } from "@cloister/encoding";
import { aesCmac } from "./cmac.ts";
import { ProtectedFileError } from "./errors.ts";

/** Bytes of a wrap key, of a node key and of a tag. */
export const KEY_BYTES = 16;
export const NONCE_BYTES = 32;

const LABEL = "SGX-PROTECTED-FS-METADATA-KEY";
const LABEL_BYTES = 64;

/**
 * Input of the key derivation (NIST SP 800-108, counter mode, one block): counter 1, label, nonce, output length in bits;
 * 104 bytes, integers little-endian.
 */
export function kdfInput(nonce: Uint8Array): Uint8Array {
  const input = new Uint8Array(4 + LABEL_BYTES + NONCE_BYTES + 4);
  const view = new DataView(input.buffer);
  view.setUint32(0, 1, true);
  new TextEncoder().encodeInto(LABEL, input.subarray(4));
  input.set(nonce, 4 + LABEL_BYTES);
  view.setUint32(4 + LABEL_BYTES + NONCE_BYTES, KEY_BYTES * 8, true);
  return input;
}

/** Key of a metadata node from the wrap key and the node's clear nonce; 16 bytes. Throws WRAP_KEY_LENGTH. */
export function deriveMetadataKey(wrapKey: Secret, nonce: Uint8Array): Uint8Array {
  if (wrapKey.length !== KEY_BYTES) throw new ProtectedFileError("WRAP_KEY_LENGTH");
  return aesCmac(wrapKey.reveal(), kdfInput(nonce));
}
