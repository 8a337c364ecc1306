import { createHash, timingSafeEqual } from "node:crypto";
import { equalBytes } from "@cloister/encoding";
import type { VerifiedClaims } from "../appraisal/claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { refusal } from "../errors.ts";
import { checkReportData } from "./binding.ts";
import { decodeTaggedEvidence, encodeClaims, encodeTaggedEvidence } from "./evidence.ts";
import type { Verifier } from "../appraisal/verifier.ts";

// Evidence that answers a challenge. An RA-TLS certificate proves that the enclave existed when it was made; this proves that it
// exists now, over the same key. The form is the tagged evidence of the certificate's extension (TCG DICE), sent on its own.

const MIN_NONCE_BYTES = 16;
const MAX_NONCE_BYTES = 64;

/** What both sides of a channel know. */
export interface Challenge {
  /** SubjectPublicKeyInfo, DER, of the key that the enclave's side of the TLS channel proved to hold. */
  readonly spki: Uint8Array;
  /**
   * 16 to 64 bytes that the verifier chose at random for this channel. To bind the channel and not only the key, use the
   * hash of a random value and the channel's exporter (RFC 9266).
   */
  readonly nonce: Uint8Array;
}

/** Makes evidence over the challenge. `quote` asks the platform for a quote over 64 bytes of report data. */
export async function createFreshEvidence(
  { spki, nonce }: Challenge,
  quote: (reportData: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  checkNonceLength(nonce);
  const claims = encodeClaims(sha256(spki), nonce);
  const reportData = new Uint8Array(64);
  reportData.set(sha256(claims));
  return encodeTaggedEvidence(await quote(reportData), claims);
}

/** The quote in evidence, unverified: for asking which collateral it needs. Throws `AttestationError` RA_TLS_EVIDENCE_MALFORMED. */
export function quoteOfFreshEvidence(evidence: Uint8Array): Uint8Array {
  return decodeTaggedEvidence(evidence).quote;
}

/**
 * Verifies evidence against the challenge: key, nonce, quote, and that the quote is over both. Returns the claims of the
 * enclave that holds the channel's key now. Throws `AttestationError` with an RA_TLS_ code or any code of `appraise`.
 */
export function appraiseFreshEvidence(
  verifier: Verifier,
  evidence: Uint8Array,
  { spki, nonce }: Challenge,
  collateral: Collateral,
  time: Date,
): VerifiedClaims {
  checkNonceLength(nonce);
  const tagged = decodeTaggedEvidence(evidence);
  const { name, digest } = tagged.pubkeyHash;
  const expected = createHash(name).update(spki).digest();
  if (!equalBytes(expected, digest)) throw refusal("RA_TLS_PUBKEY_HASH_MISMATCH");
  const isFresh = tagged.nonce?.length === nonce.length && timingSafeEqual(tagged.nonce, nonce);
  if (!isFresh) throw refusal("RA_TLS_NONCE_MISMATCH");
  const claims = verifier.appraise({ quote: tagged.quote }, collateral, time);
  checkReportData(claims.reportData, tagged.claims);
  return claims;
}

function checkNonceLength({ length }: Uint8Array): void {
  if (length < MIN_NONCE_BYTES || length > MAX_NONCE_BYTES) throw new RangeError("a nonce has 16 to 64 bytes");
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
