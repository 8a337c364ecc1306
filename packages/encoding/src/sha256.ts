import { hash } from "node:crypto";

/** SHA-256 of public bytes, 32 bytes. In browsers `sha256.browser.ts` stands in its place (package.json, "browser"). */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}
