import {
  AttestationError,
  type Collateral,
  decodeCollateral,
  type VerifiedClaims,
} from "@cloister/attestation/webcrypto";
import { equalBytes, toHex } from "@cloister/encoding";
import type { ShownEvidence } from "@cloister/encoding/connection-evidence";
import { type Allowed, evaluate } from "@cloister/policy";
import { decodeLogProof, type LogEntry, ReleaseLogError, verifyLogProofAsync } from "@cloister/release-log/webcrypto";
import type { AttestationOptions, RequiredLog, VerifiedReplica } from "./options.ts";
import { appraisalRefused, policyRefused, refused } from "./refusals.ts";

/** Node's verifier or WebCrypto's. */
export type Appraise = (
  quote: Uint8Array,
  collateral: Collateral,
  at: Date,
) => VerifiedClaims | Promise<VerifiedClaims>;

/** What the evidence has to be for: a connection or a session, which the caller has checked part by part. */
export interface Bound {
  /** The 64 bytes that the quote has to hold. */
  readonly reportData: Uint8Array;
  readonly publicKeySha256: Uint8Array;
  /** The checks so far, in words. */
  readonly steps: readonly string[];
  /** By `performance.now()`. */
  readonly startedAt: number;
}

/**
 * Judges what a replica shows: collateral, appraisal, binding, policy, and the release log where it is asked for. Throws `ClientError`
 * with the code of the first check that fails.
 */
export async function judge(
  evidence: ShownEvidence,
  bound: Bound,
  options: AttestationOptions,
  appraise: Appraise,
): Promise<VerifiedReplica> {
  const { quote } = evidence;
  const collateral = await collateralFor(evidence, options);
  const at = options.clock?.() ?? new Date();
  const claims = await appraised(appraise, quote, collateral, at);
  if (!equalBytes(claims.reportData, bound.reportData)) throw refused("EVIDENCE_NOT_BOUND");
  const decision = decide(claims, at, options);
  const release =
    options.releaseLog && (await checkRelease(evidence.releaseProof, bound.publicKeySha256, options.releaseLog));
  return {
    claims,
    decision,
    publicKeySha256: toHex(bound.publicKeySha256),
    quote,
    collateral,
    ...(release !== undefined && { release }),
    isStapled: options.collateral === undefined,
    steps: [
      ...bound.steps,
      ...claims.checked,
      `policy: ${decision.rule}`,
      ...(release === undefined ? [] : ["the release of its keys is in the broker's log"]),
    ],
    durationMs: performance.now() - bound.startedAt,
  };
}

async function collateralFor(evidence: ShownEvidence, { collateral }: AttestationOptions): Promise<Collateral> {
  try {
    return collateral === undefined ? decodeCollateral(evidence.collateral) : await collateral(evidence.quote);
  } catch (cause) {
    throw refused("COLLATERAL_UNAVAILABLE", cause);
  }
}

async function appraised(
  appraise: Appraise,
  quote: Uint8Array,
  collateral: Collateral,
  at: Date,
): Promise<VerifiedClaims> {
  try {
    return await appraise(quote, collateral, at);
  } catch (error) {
    throw error instanceof AttestationError ? appraisalRefused(error) : error;
  }
}

function decide(claims: VerifiedClaims, at: Date, { policy }: AttestationOptions): Allowed {
  const decision = evaluate(policy, claims, at);
  if (!decision.allowed) throw policyRefused(decision.denials);
  return decision;
}

/** The entry by which keys were released to the holder of this serving key. The replica's key at the broker is its serving key. */
async function checkRelease(proof: Uint8Array, publicKeySha256: Uint8Array, log: RequiredLog): Promise<LogEntry> {
  if (proof.length === 0) throw refused("RELEASE_PROOF_MISSING");
  try {
    const { entry } = await verifyLogProofAsync(decodeLogProof(proof), log);
    if (entry.decision === "released" && entry.peerKeySha256 === toHex(publicKeySha256)) return entry;
  } catch (cause) {
    if (cause instanceof ReleaseLogError) throw refused("RELEASE_NOT_LOGGED", cause);
    throw cause;
  }
  throw refused("RELEASE_NOT_LOGGED");
}
