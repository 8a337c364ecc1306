import { createHash, timingSafeEqual, verify } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { equalBytes } from "@cloister/encoding";
import type { VerifiedClaims } from "../appraisal/claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { refusal } from "../errors.ts";
import { parseQuote } from "../quote/quote.ts";
import { checkReportData } from "./binding.ts";
import { parseRaTlsCertificate, type RaTlsEvidence } from "./parse.ts";
import type { TrustAnchor } from "../appraisal/trust-anchor.ts";
import { createVerifier, type Verifier } from "../appraisal/verifier.ts";

export { createRaTlsCertificate, type RaTlsCertificateOptions } from "./create.ts";
export { parseRaTlsCertificate, type RaTlsEvidence, type RaTlsKeyType } from "./parse.ts";
export { appraiseFreshEvidence, createFreshEvidence, quoteOfFreshEvidence, type Challenge } from "./fresh.ts";
export { INTENDED_LEGACY_QUOTE_OID, LEGACY_QUOTE_OID, TAGGED_EVIDENCE_OID } from "./evidence.ts";
export type { KeyHashName, TaggedEvidence } from "./evidence.ts";

const SIGNATURE_DIGESTS: Readonly<Record<RaTlsEvidence["keyType"], ReadonlyMap<string, string>>> = {
  p256: new Map([["1.2.840.10045.4.3.2", "sha256"]]),
  p384: new Map([
    ["1.2.840.10045.4.3.2", "sha256"],
    ["1.2.840.10045.4.3.3", "sha384"],
  ]),
  rsa3072: new Map([
    ["1.2.840.113549.1.1.11", "sha256"],
    ["1.2.840.113549.1.1.12", "sha384"],
  ]),
};

export interface RaTlsAppraisalOptions {
  /** Accept RSA-3072 keys, which Gramine 1.3 and earlier make, with the legacy extension only. Default false. */
  readonly allowLegacyRsa?: boolean;
  /** The nonce that the claims of the evidence extension must hold. */
  readonly nonce?: Uint8Array;
}

declare const verifiedPeer: unique symbol;

/**
 * A peer that is an enclave or TD with these claims and holds the private key of `spki`, provided that the TLS handshake
 * proved possession. Only `appraiseRaTls` makes it.
 */
export interface VerifiedPeer {
  readonly [verifiedPeer]: true;
  readonly claims: VerifiedClaims;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Lower-case hex of SHA-256 over `spki`. */
  readonly publicKeySha256: string;
  /** Which extensions carried evidence; each of them was checked. */
  readonly evidence: "both" | "legacy" | "evidence";
  /** From then on the same certificate with the same collateral is refused. */
  readonly validUntil: Date;
}

/**
 * Verifies an RA-TLS certificate: its own form, validity and signature, every quote in it, and that every quote is bound to
 * its key (Gramine's verifier checks less: it lets claims without a key pass, and skips the legacy quote beside evidence).
 * Policy over the claims is a step of its own.
 *
 * Throws `AttestationError` with an RA_TLS_ code or any code of `appraise`.
 */
export function appraiseRaTls(
  der: Uint8Array,
  collateral: Collateral,
  anchors: readonly TrustAnchor[],
  time: Date,
  options: RaTlsAppraisalOptions = {},
): VerifiedPeer {
  return appraiseRaTlsWith(createVerifier({ anchors }), der, collateral, time, options);
}

/**
 * As `appraiseRaTls`, with a verifier (and its anchors) that remembers collateral from one certificate to the next. A caller
 * that has parsed the certificate already gives what `parseRaTlsCertificate` made of it.
 */
export function appraiseRaTlsWith(
  verifier: Verifier,
  certificate: Uint8Array | RaTlsEvidence,
  collateral: Collateral,
  time: Date,
  options: RaTlsAppraisalOptions = {},
): VerifiedPeer {
  const peer = readPeer(certificate, time, options);
  return conclude(peer, verifier.appraiseAll(bindings(peer), collateral, time));
}

/** As `appraiseRaTlsWith`, with the quotes' signatures checked on Node's thread pool: see `Verifier.appraiseAsync`. */
export async function appraiseRaTlsAsync(
  verifier: Verifier,
  certificate: Uint8Array | RaTlsEvidence,
  collateral: Collateral,
  time: Date,
  options: RaTlsAppraisalOptions = {},
): Promise<VerifiedPeer> {
  const peer = readPeer(certificate, time, options);
  return conclude(peer, await verifier.appraiseAllAsync(bindings(peer), collateral, time));
}

/** Asks a verifier elsewhere about a quote. `bound` is what the quote's report data hold the SHA-256 of. */
export type AskVerifier = (quote: Uint8Array, bound: Uint8Array) => Promise<VerifiedClaims>;

/**
 * As `appraiseRaTls`, with a verifier that has to be asked, such as Microsoft Azure Attestation. The bindings to the key are
 * checked here, whoever vouches for the quotes.
 */
export async function appraiseRaTlsBy(
  ask: AskVerifier,
  certificate: Uint8Array | RaTlsEvidence,
  time: Date,
  options: RaTlsAppraisalOptions = {},
): Promise<VerifiedPeer> {
  const peer = readPeer(certificate, time, options);
  const claims = await Promise.all(bindings(peer).map(({ quote, bound }) => ask(quote, bound)));
  return conclude(peer, claims);
}

function readPeer(certificate: Uint8Array | RaTlsEvidence, time: Date, options: RaTlsAppraisalOptions): RaTlsEvidence {
  const peer = certificate instanceof Uint8Array ? parseRaTlsCertificate(certificate) : certificate;
  checkCertificate(peer, time, options);
  checkClaims(peer, options.nonce);
  return peer;
}

/** `verified` holds the claims of each binding, in its order. */
function conclude(peer: RaTlsEvidence, verified: readonly VerifiedClaims[]): VerifiedPeer {
  for (const [index, { quote, bound }] of bindings(peer).entries()) {
    const claims = verified[index];
    // A verifier that is asked could answer about another quote.
    const isAbout = claims !== undefined && equalBytes(claims.reportData, parseQuote(quote).body.report.reportData);
    if (!isAbout) throw refusal("RA_TLS_REPORT_DATA_MISMATCH");
    checkReportData(claims.reportData, bound);
  }
  const [first, second = first] = verified;
  if (first === undefined || second === undefined) throw refusal("RA_TLS_EVIDENCE_MISSING");
  if (!isDeepStrictEqual(identity(first), identity(second))) throw refusal("RA_TLS_QUOTES_DISAGREE");
  return verifiedPeerOf(peer, first);
}

function checkCertificate(
  { certificate, publicKey, keyType, evidence }: RaTlsEvidence,
  time: Date,
  options: RaTlsAppraisalOptions,
): void {
  const legacyRsa = options.allowLegacyRsa === true && evidence === undefined;
  if (keyType === "rsa3072" && !legacyRsa) throw refusal("RA_TLS_KEY_NOT_ALLOWED");
  // Written so that an invalid date is refused too.
  if (!(time >= certificate.notBefore)) throw refusal("RA_TLS_NOT_YET_VALID");
  if (!(time <= certificate.notAfter)) throw refusal("RA_TLS_EXPIRED");
  if (!equalBytes(certificate.issuer.raw, certificate.subject.raw)) throw refusal("RA_TLS_SELF_SIGNATURE_INVALID");
  const digest = SIGNATURE_DIGESTS[keyType].get(certificate.signatureAlgorithm.oid);
  const signed = digest !== undefined && verify(digest, certificate.tbs, publicKey, certificate.signature);
  if (!signed) throw refusal("RA_TLS_SELF_SIGNATURE_INVALID");
}

function checkClaims({ evidence, spki }: RaTlsEvidence, nonce: Uint8Array | undefined): void {
  if (evidence !== undefined) {
    const { name, digest } = evidence.pubkeyHash;
    const expected = createHash(name).update(spki).digest();
    if (!equalBytes(expected, digest)) throw refusal("RA_TLS_PUBKEY_HASH_MISMATCH");
  }
  if (nonce === undefined) return;
  const claimed = evidence?.nonce;
  const same = claimed?.length === nonce.length && timingSafeEqual(claimed, nonce);
  if (!same) throw refusal("RA_TLS_NONCE_MISMATCH");
}

/** Each quote with the bytes that its report data must hold the SHA-256 of. */
function bindings({ evidence, legacyQuote, spki }: RaTlsEvidence): { quote: Uint8Array; bound: Uint8Array }[] {
  return [
    ...(evidence === undefined ? [] : [{ quote: evidence.quote, bound: evidence.claims }]),
    ...(legacyQuote === undefined ? [] : [{ quote: legacyQuote, bound: spki }]),
  ];
}

/** Everything that policy may decide by: two quotes in one certificate must agree on it. */
function identity(claims: VerifiedClaims): object {
  const { reportData: _differs, checked: _log, dates, ...claimed } = claims;
  // A service's tokens have dates of their own.
  return claims.verifier === "maa" ? claimed : { ...claimed, dates };
}

function verifiedPeerOf(
  { certificate, spki, evidence, legacyQuote }: RaTlsEvidence,
  claims: VerifiedClaims,
): VerifiedPeer {
  const kind = legacyQuote === undefined ? "evidence" : evidence === undefined ? "legacy" : "both";
  const { earliestExpiry } = claims.dates;
  return {
    claims,
    spki,
    publicKeySha256: createHash("sha256").update(spki).digest("hex"),
    evidence: kind,
    validUntil: certificate.notAfter < earliestExpiry ? certificate.notAfter : earliestExpiry,
  } as VerifiedPeer;
}
