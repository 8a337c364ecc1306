import type { LoadedAnchor } from "../chain/anchor.ts";
import type { PckChain } from "../chain/pck-chain.ts";
import { isProcessorCa } from "../chain/profile.ts";
import type { VerifiedCrl } from "../chain/revocation.ts";
import type { DateClaims, PlatformClaims, SgxClaims, TdxClaims, VerifiedClaims } from "./claims.ts";
import type { QeIdentity } from "../documents/qe-identity.ts";
import type { TcbInfo } from "../documents/tcb-info.ts";
import type { VerifiedDocument } from "../documents/verified-document.ts";
import type { Quote } from "../quote/quote.ts";
import { isDebugEnclave, type SgxReport } from "../quote/sgx-report.ts";
import { isDebugTd, type TdReport } from "../quote/td-report.ts";
import type { TcbEvaluation } from "../tcb/evaluate.ts";

/** Everything that passed the appraisal. */
export interface Appraised {
  readonly quote: Quote;
  readonly anchor: LoadedAnchor;
  readonly pck: PckChain;
  readonly rootCrl: VerifiedCrl;
  readonly pckCrl: VerifiedCrl;
  readonly tcbInfo: VerifiedDocument<TcbInfo>;
  readonly qeIdentity: VerifiedDocument<QeIdentity>;
  readonly tcb: TcbEvaluation;
}

/** Steps of every appraisal, in order. */
const STEPS = ["quote-structure", "trust-anchor", "root-crl", "pck-chain", "pck-crl", "tcb-info", "qe-identity"];
const LATER_STEPS = ["collateral-match", "qe-report", "qe-policy", "quote-signature"];

/** The claims of an appraisal that passed (dcap.md C.5, step 14). */
export function makeClaims(appraised: Appraised): VerifiedClaims {
  const { quote, anchor, pck, rootCrl, pckCrl, tcbInfo, qeIdentity, tcb } = appraised;
  const { body } = quote;
  const numbers = [tcbInfo.document.evaluationDataNumber, qeIdentity.document.evaluationDataNumber];
  const claims: Omit<VerifiedClaims, symbol> = {
    verifier: "dcap",
    tee: body.tee,
    quoteVersion: quote.version,
    simulated: anchor.anchor.kind === "simulated",
    anchor: anchor.anchor.name,
    anchorSha256: anchor.sha256,
    reportData: body.report.reportData,
    debug: body.tee === "sgx" ? isDebugEnclave(body.report) : isDebugTd(body.report),
    ...(body.tee === "sgx" ? { sgx: sgxClaims(body.report) } : { tdx: tdxClaims(body.report) }),
    tcb: { ...tcb, evaluationDataNumber: Math.min(...numbers) },
    dates: dateClaims(appraised),
    platform: platformClaims(pck),
    crls: { rootCaCrlNumber: rootCrl.number, pckCrlNumber: pckCrl.number },
    checked: [...STEPS, ...LATER_STEPS, ...(body.tee === "tdx" ? ["tdx-module"] : []), "tcb-level"],
  };
  // The brand exists for the type checker only; this place and the one for attestation services give it.
  return Object.freeze(claims) as VerifiedClaims;
}

export function sgxClaims(report: SgxReport): SgxClaims {
  const { raw: _raw, miscSelectBytes: _miscSelectBytes, reportData: _reportData, ...claims } = report;
  return claims;
}

function tdxClaims(report: TdReport): TdxClaims {
  const { reportData: _reportData, ...claims } = report;
  return claims;
}

function dateClaims({ anchor, pck, rootCrl, pckCrl, tcbInfo, qeIdentity }: Appraised): DateClaims {
  const items = [rootCrl, pckCrl, tcbInfo.document, qeIdentity.document].map(({ validity }) => validity);
  const certificates = [anchor.certificate, ...pck.chain, ...tcbInfo.chain, ...qeIdentity.chain];
  const issues = items.map(({ from }) => from.getTime());
  const expiries = [...items.map(({ until }) => until), ...certificates.map(({ notAfter }) => notAfter)];
  return {
    earliestIssue: new Date(Math.min(...issues)),
    latestIssue: new Date(Math.max(...issues)),
    earliestExpiry: new Date(Math.min(...expiries.map((date) => date.getTime()))),
  };
}

/** Copies, because a verifier remembers the extension: who changes claims must not change later ones. */
export function platformClaims({ leaf, ca, extension }: Omit<PckChain, "chain">): PlatformClaims {
  const { fmspc, pceId, ppid, sgxType, platformInstanceId, flags } = extension;
  return {
    fmspc: fmspc.slice(),
    pceId: pceId.slice(),
    ppid: ppid.slice(),
    ...(platformInstanceId && { platformInstanceId: platformInstanceId.slice() }),
    sgxType,
    ...(flags && { flags: { ...flags } }),
    pckCa: isProcessorCa(ca) ? "processor" : "platform",
    pckSerial: leaf.serial,
  };
}
