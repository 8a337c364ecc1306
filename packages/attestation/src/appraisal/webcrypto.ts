import type { webcrypto } from "node:crypto";
import { appraiseOne, type Evidence } from "./appraise-core.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { Memory } from "./memory.ts";
import type { CryptoAnswer, CryptoRequest, Steps } from "./steps.ts";
import type { TrustAnchor } from "./trust-anchor.ts";

export type { VerifiedClaims } from "./claims.ts";
export { type Collateral, decodeCollateral } from "../collateral/collateral.ts";
export { AttestationError } from "../errors.ts";
export { INTEL_ROOT, type TrustAnchor } from "./trust-anchor.ts";

const MEMORY_ENTRIES = 64;
const ECDSA = { name: "ECDSA", hash: "SHA-256" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };

/** The part of WebCrypto that an appraisal needs. */
export type SubtleCrypto = Pick<webcrypto.SubtleCrypto, "digest" | "importKey" | "verify">;

/** `appraise` on WebCrypto, for browsers and other run times: the same steps, the same codes. Rejects with `AttestationError`. */
export async function appraiseAsync(
  evidence: Evidence,
  collateral: Collateral,
  anchors: readonly TrustAnchor[],
  time: Date,
  subtle: SubtleCrypto = globalThis.crypto.subtle,
): Promise<VerifiedClaims> {
  return await run(subtle, appraiseOne(new Memory(MEMORY_ENTRIES), evidence, collateral, anchors, time));
}

async function run<T>(subtle: SubtleCrypto, steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (step.done !== true) step = steps.next(await answer(subtle, step.value));
  return step.value;
}

async function answer(subtle: SubtleCrypto, request: CryptoRequest): Promise<CryptoAnswer> {
  if (request.kind === "sha256") return new Uint8Array(await subtle.digest("SHA-256", owned(request.data)));
  let key: webcrypto.CryptoKey;
  try {
    key = await subtle.importKey("raw", owned(request.publicKey), P256, false, ["verify"]);
  } catch {
    // No point on the curve: no signature verifies under it.
    return false;
  }
  return await subtle.verify(ECDSA, key, owned(request.signature), owned(request.message));
}

/** WebCrypto takes no views of shared memory, so it gets a copy. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
