import { createHash, type KeyObject } from "node:crypto";

/** Under which the release log and evidence know a key: lower-case hex of SHA-256 over its SubjectPublicKeyInfo. */
export function publicKeyDigest(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex");
}
