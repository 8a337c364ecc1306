import { createCipheriv, createDecipheriv } from "node:crypto";
import { asBuffer } from "@cloister/encoding";
import { KEY_BYTES } from "./kdf.ts";

// AES-128-GCM with an all-zero IV and no additional data, as the format has it. Safe only because every encryption uses a key
// drawn for it and never used before: callers must not encrypt twice under one key.

// A key goes in as text of 16 Latin-1 characters: Node 24.21 takes 2 us to set up a cipher that way, 3 us with a key object and
// 14 us with a byte array, where encrypting 4096 bytes takes 1 to 3. Many keys become text in one call, which saves as much again.

/** The format's IV. */
export const IV: Uint8Array = new Uint8Array(12);
const OPTIONS = { authTagLength: KEY_BYTES, encoding: "latin1" } as const;

/** Keys as the text that `gcmEncrypt` and `gcmDecrypt` take: one character a byte. */
export function keyText(keys: Uint8Array): string {
  return asBuffer(keys).toString("latin1");
}

/** Ciphertext and tag of `plaintext` under a fresh key. */
export function gcmEncrypt(key: string, plaintext: Uint8Array): { ciphertext: Buffer; tag: Buffer } {
  const cipher = createCipheriv("aes-128-gcm", key, IV, OPTIONS);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/** Plaintext, or `undefined` where the tag does not match; nothing unverified is returned. */
export function gcmDecrypt(key: string, tag: Uint8Array, ciphertext: Uint8Array): Buffer | undefined {
  const decipher = createDecipheriv("aes-128-gcm", key, IV, OPTIONS).setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plaintext;
}
