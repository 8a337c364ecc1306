import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

/** As `sha256.ts`. WebCrypto only hashes asynchronously, and what is hashed here (policies, log entries, bindings) is small. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nobleSha256(bytes);
}
