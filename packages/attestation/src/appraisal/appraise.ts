import { appraiseOne, type Evidence } from "./appraise-core.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { Memory } from "./memory.ts";
import { NodeCrypto } from "./node-crypto.ts";
import type { TrustAnchor } from "./trust-anchor.ts";

export type { Evidence } from "./appraise-core.ts";

/** Keeps imported public keys and no verdict, so that it changes no result. */
const crypto = new NodeCrypto();

/** More than one appraisal can fill. */
const MEMORY_ENTRIES = 64;

/**
 * Verifies a quote against collateral and trust anchors at a time: structure, certificate chains, revocation, signed
 * collateral, quoting enclave, quote signature, TCB (dcap.md C.5). Whether the claims are acceptable is policy's question:
 * a debug enclave and an out of date platform pass here and say so.
 *
 * Throws `AttestationError`; its code names the first check that failed, in a fixed order. Fetches nothing, reads no clock,
 * keeps no verdict. For many appraisals, `createVerifier` verifies the same collateral once.
 */
export function appraise(
  evidence: Evidence,
  collateral: Collateral,
  anchors: readonly TrustAnchor[],
  time: Date,
): VerifiedClaims {
  return crypto.run(appraiseOne(new Memory(MEMORY_ENTRIES), evidence, collateral, anchors, time));
}
