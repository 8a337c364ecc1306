import { createHash } from "node:crypto";
import { type EnclaveManifest, encodeManifest } from "./manifest.ts";

// Real hardware measures memory pages (gramine.md E.4). The simulated platform measures the manifest, which names every
// file of the program by digest. The prefix keeps the value apart from every real MRENCLAVE.
const DOMAIN = "cloister simulated MRENCLAVE v1\0";

/** The 32-byte measurement that a SIMULATED platform reports for a manifest. */
export function measureSimulated(manifest: EnclaveManifest): Uint8Array {
  return new Uint8Array(createHash("sha256").update(DOMAIN).update(encodeManifest(manifest)).digest());
}
