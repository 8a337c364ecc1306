import { equalBytes } from "@cloister/encoding";
import type { Certificate } from "@cloister/encoding/x509";
import type { ChainName } from "./appraisal-codes.ts";
import { checkAnchorTime, chooseAnchor, type LoadedAnchor } from "../chain/anchor.ts";
import { checkChainTime, parseChain, recallChain } from "../chain/chain.ts";
import { recallPckChain, type PckChain } from "../chain/pck-chain.ts";
import type { PckExtension } from "../chain/pck-extension.ts";
import { checkCrlTime, CRL_ISSUER_ROLES, isRevoked, recallCrl, type VerifiedCrl } from "../chain/revocation.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { readQeIdentity, type QeIdentity } from "../documents/qe-identity.ts";
import { readTcbInfo, type TcbInfo } from "../documents/tcb-info.ts";
import { verifyDocument, type VerifiedDocument } from "../documents/verified-document.ts";
import { refusal } from "../errors.ts";
import { makeClaims } from "./make-claims.ts";
import type { Memory } from "./memory.ts";
import { parseQuote, type Quote } from "../quote/quote.ts";
import type { SignatureData } from "../quote/signature-data.ts";
import { verifySignature, type Steps } from "./steps.ts";
import { evaluateSgx, evaluateTdx } from "../tcb/evaluate.ts";
import { checkQeIdentity, verifyQeReport } from "../tcb/quoting-enclave.ts";
import type { TrustAnchor } from "./trust-anchor.ts";

/** What a platform shows: a quote. Nothing in it is verified. */
export interface Evidence {
  readonly quote: Uint8Array;
}

/** Uncompressed point: the attestation key in a quote is x and y only. */
const UNCOMPRESSED_POINT = 0x04;

/** Everything that the quotes of one machine have in common, verified. */
interface VerifiedPlatform {
  /** The PCK chain as the quote carries it. */
  readonly chainText: Uint8Array;
  readonly anchor: LoadedAnchor;
  readonly rootCrl: VerifiedCrl;
  readonly pck: PckChain;
  readonly pckCrl: VerifiedCrl;
  readonly tcbInfo: VerifiedDocument<TcbInfo>;
  readonly qeIdentity: VerifiedDocument<QeIdentity>;
}

/**
 * The appraisal (dcap.md C.5), step by step in that order, so that codes are stable. One time for everything. What the
 * memory holds was verified before; dates and revocation are always looked at again.
 *
 * Returns the claims of each quote, or throws `AttestationError`. Nothing else happens: no input is changed, nothing is
 * fetched.
 */
export function* appraiseCore(
  memory: Memory,
  evidences: readonly Evidence[],
  served: Collateral,
  trusted: readonly TrustAnchor[],
  now: Date,
): Steps<VerifiedClaims[]> {
  if (Number.isNaN(now.getTime())) throw refusal("TIME_INVALID");
  // Copies: what is checked must be what is returned, whatever the caller does with its objects meanwhile.
  const time = new Date(now);
  const anchors = trusted.map(copyAnchor);
  const quotes = evidences.map(({ quote }) => quote.slice());
  const collateral = copyCollateral(served);

  const claims: VerifiedClaims[] = [];
  let platform: VerifiedPlatform | undefined;
  for (const bytes of quotes) {
    const quote = parseQuote(bytes);
    const isKnown = platform !== undefined && equalBytes(platform.chainText, quote.signatureData.pckChain);
    if (platform === undefined || !isKnown) platform = yield* verifyPlatform(memory, quote, collateral, anchors, time);
    claims.push(yield* verifyQuote(memory, quote, platform));
  }
  return claims;
}

/** The claims of one quote. */
export function* appraiseOne(
  memory: Memory,
  evidence: Evidence,
  ...rest: [served: Collateral, trusted: readonly TrustAnchor[], now: Date]
): Steps<VerifiedClaims> {
  const [claims] = yield* appraiseCore(memory, [evidence], ...rest);
  if (claims === undefined) throw new TypeError("one quote has one set of claims");
  return claims;
}

function* verifyPlatform(
  memory: Memory,
  quote: Quote,
  collateral: Collateral,
  anchors: readonly TrustAnchor[],
  time: Date,
): Steps<VerifiedPlatform> {
  const chainText = quote.signatureData.pckChain;
  // Parsing it is a tenth of an appraisal, and the quotes of a machine carry the same one for months.
  const parsed = yield* memory.find<readonly Certificate[]>("pck-chain-text", [chainText]);
  const unverifiedChain = parsed ?? parseChain("PCK_CHAIN", withoutFinalNul(chainText));
  const anchor = yield* chooseAnchor(memory, anchors, unverifiedChain.at(-1));
  checkAnchorTime(anchor, time);

  const rootCrl = yield* recallCrl(memory, "ROOT_CRL", collateral.rootCaCrl, anchor.certificate);
  checkCrlTime(rootCrl, time);

  const pck = yield* recallPckChain(memory, chainText, unverifiedChain, anchor);
  if (parsed === undefined) yield* memory.keep("pck-chain-text", [chainText], unverifiedChain);
  checkChainTime("PCK_CHAIN", pck.chain, time);
  if (isRevoked(pck.ca, rootCrl)) throw refusal("PCK_CA_REVOKED");

  yield* verifyCrlIssuer(memory, collateral.pckCrlIssuerChain, pck, anchor, time);
  const pckCrl = yield* recallCrl(memory, "PCK_CRL", collateral.pckCrl, pck.ca);
  checkCrlTime(pckCrl, time);
  if (isRevoked(pck.leaf, pckCrl)) throw refusal("PCK_CERTIFICATE_REVOKED");

  const context = { memory, anchor, rootCrl, time };
  const tcbInfo = yield* verifyDocument(
    context,
    "TCB_INFO",
    collateral.tcbInfo,
    collateral.tcbInfoIssuerChain,
    readTcbInfo,
  );
  const qeIdentity = yield* verifyDocument(
    context,
    "QE_IDENTITY",
    collateral.qeIdentity,
    collateral.qeIdentityIssuerChain,
    readQeIdentity,
  );
  return { chainText, anchor, rootCrl, pck, pckCrl, tcbInfo, qeIdentity };
}

function* verifyQuote(memory: Memory, quote: Quote, platform: VerifiedPlatform): Steps<VerifiedClaims> {
  const { pck, tcbInfo, qeIdentity } = platform;
  checkMatch(quote, pck.extension, tcbInfo.document, qeIdentity.document);

  yield* recallQeReport(memory, quote.signatureData, pck.leaf);
  const qeLevel = checkQeIdentity(quote.signatureData.qeReport, qeIdentity.document);
  yield* verifyQuoteSignature(quote);
  const tcb =
    quote.body.tee === "sgx"
      ? evaluateSgx(tcbInfo.document, pck.extension, qeLevel)
      : evaluateTdx(tcbInfo.document, pck.extension, qeLevel, quote.body.report);
  return makeClaims({ quote, ...platform, tcb });
}

/** A quoting enclave keeps its attestation key, so the quotes of a machine carry the same report of it for months. */
function* recallQeReport(memory: Memory, data: SignatureData, pck: Certificate): Steps<void> {
  const { qeReport, qeReportSignature, attestationKey, qeAuthData } = data;
  const inputs = [pck.publicKey, qeReport.raw, qeReportSignature, attestationKey, qeAuthData];
  yield* memory.recall("qe-report", inputs, () => verifyQeReport(data, pck));
}

/** The served chain of the PCK list must lead to the CA of the quote: same name, same key. */
function* verifyCrlIssuer(memory: Memory, pem: string, pck: PckChain, anchor: LoadedAnchor, time: Date): Steps<void> {
  const name: ChainName = "PCK_CRL_CHAIN";
  const chain = yield* recallChain(memory, name, pem, CRL_ISSUER_ROLES, anchor);
  checkChainTime(name, chain, time);
  const [issuer] = chain;
  const same =
    issuer !== undefined && equalBytes(issuer.spki, pck.ca.spki) && equalBytes(issuer.subject.raw, pck.ca.subject.raw);
  if (!same) throw refusal("PCK_CRL_ISSUER_MISMATCH");
}

/** The collateral is for this kind of TEE and this kind of platform (dcap.md C.5, step 7). */
function checkMatch(quote: Quote, pck: PckExtension, tcbInfo: TcbInfo, qeIdentity: QeIdentity): void {
  const { tee } = quote.body;
  if (tcbInfo.tee !== tee) throw refusal("TCB_INFO_TEE_MISMATCH");
  if (qeIdentity.id !== (tee === "sgx" ? "QE" : "TD_QE")) throw refusal("QE_IDENTITY_TEE_MISMATCH");
  if (!equalBytes(tcbInfo.fmspc, pck.fmspc)) throw refusal("FMSPC_MISMATCH");
  if (!equalBytes(tcbInfo.pceId, pck.pceId)) throw refusal("PCEID_MISMATCH");
}

function* verifyQuoteSignature({ signed, signatureData }: Quote): Steps<void> {
  const key = new Uint8Array(65);
  key[0] = UNCOMPRESSED_POINT;
  key.set(signatureData.attestationKey, 1);
  if (!(yield* verifySignature(key, signed, signatureData.quoteSignature))) throw refusal("QUOTE_SIGNATURE_INVALID");
}

/** Most quote providers end the PEM text as a C string. */
function withoutFinalNul(text: Uint8Array): Uint8Array {
  return text.at(-1) === 0 ? text.subarray(0, -1) : text;
}

function copyAnchor(anchor: TrustAnchor): TrustAnchor {
  return { name: anchor.name, kind: anchor.kind, certificate: anchor.certificate.slice() };
}

function copyCollateral(served: Collateral): Collateral {
  return {
    ...served,
    tcbInfo: served.tcbInfo.slice(),
    qeIdentity: served.qeIdentity.slice(),
    rootCaCrl: served.rootCaCrl.slice(),
    pckCrl: served.pckCrl.slice(),
  };
}
