import { appraiseCore, appraiseOne, type Evidence } from "./appraise-core.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { refusal } from "../errors.ts";
import { Memory } from "./memory.ts";
import { NodeCrypto } from "./node-crypto.ts";
import type { TrustAnchor } from "./trust-anchor.ts";

export interface VerifierOptions {
  readonly anchors: readonly TrustAnchor[];
  /** Verified certificates, revocation lists and documents to keep. Default 1024. */
  readonly maxRemembered?: number;
}

/** Appraises many quotes under the same anchors. */
export interface Verifier {
  readonly anchors: readonly TrustAnchor[];
  /** As the function `appraise`, with the same result for the same input. */
  appraise(evidence: Evidence, collateral: Collateral, time: Date): VerifiedClaims;
  /**
   * The same with signatures checked on Node's thread pool, for a server with other connections to serve: the event loop
   * goes on between two of the steps. Rejects with `AttestationError` where `appraise` throws it.
   */
  appraiseAsync(evidence: Evidence, collateral: Collateral, time: Date): Promise<VerifiedClaims>;
  /** Several quotes: what those of one machine have in common is looked at once. The claims are in the same order. */
  appraiseAll(evidences: readonly Evidence[], collateral: Collateral, time: Date): VerifiedClaims[];
  /** The same as `appraiseAsync` does it. */
  appraiseAllAsync(evidences: readonly Evidence[], collateral: Collateral, time: Date): Promise<VerifiedClaims[]>;
}

const DEFAULT_REMEMBERED = 1024;

/**
 * A verifier that remembers, by SHA-256 of its bytes, what it has verified: chains, revocation lists, signed documents. Dates
 * and revocation are looked at on every appraisal, so remembering never lengthens a validity.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const anchors = Object.freeze(options.anchors.map(frozenCopy));
  const memory = new Memory(options.maxRemembered ?? DEFAULT_REMEMBERED);
  const crypto = new NodeCrypto();
  return {
    anchors,
    appraise: (evidence, collateral, time) => {
      return crypto.run(appraiseOne(memory, evidence, collateral, anchors, time));
    },
    appraiseAsync: async (evidence, collateral, time) => {
      return await crypto.runAsync(appraiseOne(memory, evidence, collateral, anchors, time));
    },
    appraiseAll: (evidences, collateral, time) => {
      return crypto.run(appraiseCore(memory, evidences, collateral, anchors, time));
    },
    appraiseAllAsync: async (evidences, collateral, time) => {
      return await crypto.runAsync(appraiseCore(memory, evidences, collateral, anchors, time));
    },
  };
}

/**
 * As `createVerifier`, and it cannot be given a simulated anchor: throws `AttestationError` ANCHOR_SIMULATED.
 */
export function createProductionVerifier(options: VerifierOptions): Verifier {
  if (options.anchors.some(({ kind }) => kind !== "intel")) throw refusal("ANCHOR_SIMULATED");
  return createVerifier(options);
}

function frozenCopy({ name, kind, certificate }: TrustAnchor): TrustAnchor {
  return Object.freeze({ name, kind, certificate: certificate.slice() });
}
