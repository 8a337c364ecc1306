import { createHash } from "node:crypto";
import { equalBytes, fromHex, fromUtf8, isZero } from "@cloister/encoding";
import { parseChain } from "../chain/chain.ts";
import { readPckExtension } from "../chain/pck-extension.ts";
import type { VerifiedClaims } from "../appraisal/claims.ts";
import type { Fields } from "../documents/fields.ts";
import { refusal, type MaaErrorCode } from "../errors.ts";
import { parseQuote, type Quote } from "../quote/quote.ts";
import { isDebugEnclave, type SgxReport } from "../quote/sgx-report.ts";
import { INTEL_ROOT_SPKI_SHA256 } from "../appraisal/trust-anchor.ts";
import { isSignedByKey, type MaaKey, type MaaKeys } from "./jwks.ts";
import { fromBase64Url, parseJwt, type Jwt } from "./jwt.ts";
import { makeMaaClaims } from "./make-maa-claims.ts";
import { providerUrl, type MaaProvider } from "./provider.ts";

/** What the service was asked about, and what it answered. */
export interface MaaEvidence {
  /** The SGX quote, version 3. */
  readonly quote: Uint8Array;
  readonly token: string;
  /** What the enclave put the SHA-256 of into its report data, where the service was given it. */
  readonly runtimeData?: Uint8Array;
}

/**
 * Claims of a quote for which Microsoft Azure Attestation vouches. The token must be the service's, valid now, and about this
 * very quote: its hash, and every field of the token that stands in the quote too, must be equal. The TCB is not judged here:
 * the service did so by its own policy and does not tell, so the status is `NotReported`.
 *
 * Nothing is fetched, no clock is read. Throws `AttestationError` with an MAA_ code, or with a QUOTE_ or PCK_ one for a quote
 * that cannot be read.
 */
export function appraiseMaaToken(
  evidence: MaaEvidence,
  provider: MaaProvider,
  keys: MaaKeys,
  time: Date,
): VerifiedClaims {
  if (Number.isNaN(time.getTime())) throw refusal("TIME_INVALID");
  const url = providerUrl(provider);
  const bytes = evidence.quote.slice();
  const quote = parseQuote(bytes);
  if (quote.body.tee !== "sgx") throw refusal("MAA_QUOTE_UNSUPPORTED");
  const { report } = quote.body;
  const token = parseJwt(evidence.token);
  const key = verifyToken(token, keys, time);
  const validity = checkToken(token.payload, url, time);
  checkReport(token.payload, report);
  checkQuoteHash(token.payload, bytes);
  if (evidence.runtimeData !== undefined) checkRuntimeData(token.payload, evidence.runtimeData, report.reportData);
  const platform = readPlatform(quote, provider);
  const notAfter = key.validity === undefined ? validity.until : earlier(key.validity.notAfter, validity.until);
  return makeMaaClaims({ report, platform, provider, url, issued: validity.from, until: notAfter });
}

function verifyToken(token: Jwt, keys: MaaKeys, time: Date): MaaKey {
  const key = keys.get(token.keyId);
  if (key === undefined) throw refusal("MAA_KEY_UNKNOWN");
  if (!isSignedByKey(token, key)) throw refusal("MAA_SIGNATURE_INVALID");
  const { validity } = key;
  const isDated = validity === undefined || (validity.notBefore <= time && time <= validity.notAfter);
  if (!isDated) throw refusal("MAA_KEY_EXPIRED");
  return key;
}

/** Issuer, dates, version and type. `exp` itself is past the end (RFC 7519, section 4.1.4). */
function checkToken(payload: Fields, url: string, time: Date): { from: Date; until: Date } {
  demand("MAA_ISSUER_MISMATCH", () => payload.string("iss").replace(/\/$/, "") === url);
  const from = readDate(payload, "nbf");
  const until = readDate(payload, "exp");
  if (time < from) throw refusal("MAA_TOKEN_NOT_YET_VALID");
  if (time >= until) throw refusal("MAA_TOKEN_EXPIRED");
  demand("MAA_VERSION_UNSUPPORTED", () => payload.string("x-ms-ver") === "1.0");
  demand("MAA_ATTESTATION_TYPE_MISMATCH", () => payload.string("x-ms-attestation-type") === "sgx");
  return { from, until };
}

/** Every field of the token that stands in the quote too. */
function checkReport(payload: Fields, report: SgxReport): void {
  const bytes = (name: string, expected: Uint8Array) => equalBytes(payload.hex(name, expected.length), expected);
  const number = (name: string, expected: number) => payload.unsigned(name, 0xffff) === expected;
  demand("MAA_DEBUGGABLE_MISMATCH", () => {
    return payload.boolean("x-ms-sgx-is-debuggable") === isDebugEnclave(report);
  });
  demand("MAA_MRENCLAVE_MISMATCH", () => bytes("x-ms-sgx-mrenclave", report.mrenclave));
  demand("MAA_MRSIGNER_MISMATCH", () => bytes("x-ms-sgx-mrsigner", report.mrsigner));
  demand("MAA_PRODUCT_ID_MISMATCH", () => number("x-ms-sgx-product-id", report.isvProdId));
  demand("MAA_SVN_MISMATCH", () => number("x-ms-sgx-svn", report.isvSvn));
  demand("MAA_REPORT_DATA_MISMATCH", () => bytes("x-ms-sgx-report-data", report.reportData));
}

function checkQuoteHash(payload: Fields, quote: Uint8Array): void {
  demand("MAA_QUOTE_HASH_MISMATCH", () => {
    return equalBytes(payload.object("x-ms-sgx-collateral").hex("quotehash", 32), sha256(quote));
  });
}

function checkRuntimeData(payload: Fields, runtimeData: Uint8Array, reportData: Uint8Array): void {
  demand("MAA_RUNTIME_DATA_MISMATCH", () => {
    const held = fromBase64Url(payload.string("x-ms-sgx-ehd"));
    const isBound = equalBytes(reportData.subarray(0, 32), sha256(runtimeData)) && isZero(reportData.subarray(32));
    return held !== undefined && equalBytes(held, runtimeData) && isBound;
  });
}

/**
 * What the PCK certificate in the quote says about the machine. The service vouches for the quote, so for its chain too; this
 * code only makes sure that real and simulated platforms are not mixed up.
 */
function readPlatform(quote: Quote, { kind }: MaaProvider): Parameters<typeof makeMaaClaims>[0]["platform"] {
  const text = fromUtf8(quote.signatureData.pckChain)?.replace(/\0$/, "") ?? "";
  const [leaf, ca, root] = parseChain("PCK_CHAIN", text);
  if (leaf === undefined || ca === undefined || root === undefined) throw refusal("PCK_CHAIN_LENGTH");
  const isIntel = equalBytes(sha256(root.spki), fromHex(INTEL_ROOT_SPKI_SHA256) ?? new Uint8Array());
  if (isIntel !== (kind === "azure")) throw refusal("MAA_PLATFORM_MISMATCH");
  return { leaf, ca, extension: readPckExtension(leaf) };
}

/** A member that is missing or of the wrong type is as bad as a wrong value. */
function demand(code: MaaErrorCode, holds: () => boolean): void {
  let isRight: boolean;
  try {
    isRight = holds();
  } catch (error) {
    throw refusal(code, error);
  }
  if (!isRight) throw refusal(code);
}

function readDate(payload: Fields, name: string): Date {
  try {
    return new Date(payload.unsigned(name, Number.MAX_SAFE_INTEGER / 1000) * 1000);
  } catch (error) {
    throw refusal("MAA_TOKEN_MALFORMED", error);
  }
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
