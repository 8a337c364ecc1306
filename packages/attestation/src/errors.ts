import { CodedError, type Explanation } from "@cloister/encoding";
import { explainAppraisal, isAppraisalCode, type AppraisalErrorCode } from "./appraisal/appraisal-codes.ts";
import { COLLATERAL_EXPLANATIONS, type CollateralErrorCode } from "./collateral/collateral-codes.ts";
import { INSPECT_EXPLANATIONS, type InspectErrorCode } from "./inspect/inspection.ts";
import { MAA_EXPLANATIONS, type MaaErrorCode } from "./maa/maa-codes.ts";
import { QCNL_EXPLANATIONS, type QcnlErrorCode } from "./qcnl/qcnl-codes.ts";
import { RA_TLS_EXPLANATIONS, type RaTlsErrorCode } from "./ra-tls/codes.ts";

export type { AppraisalErrorCode } from "./appraisal/appraisal-codes.ts";
export type { CollateralErrorCode } from "./collateral/collateral-codes.ts";
export type { MaaErrorCode } from "./maa/maa-codes.ts";
export type { QcnlErrorCode } from "./qcnl/qcnl-codes.ts";
export type { RaTlsErrorCode } from "./ra-tls/codes.ts";

/** Codes of every refusal in this package. */
export type AttestationErrorCode =
  AppraisalErrorCode | CollateralErrorCode | RaTlsErrorCode | QcnlErrorCode | MaaErrorCode | InspectErrorCode;

/** A refusal: of evidence, of collateral, of a certificate that carries evidence, or of another verifier's word. */
export class AttestationError extends CodedError<AttestationErrorCode> {}

/** The error for a code, with the text that belongs to it. `cause` is the lower error, where there is one. */
export function refusal(code: AttestationErrorCode, cause?: unknown): AttestationError {
  return new AttestationError(code, explain(code), cause === undefined ? undefined : { cause });
}

const EXPLANATIONS: Readonly<Record<Exclude<AttestationErrorCode, AppraisalErrorCode>, Explanation>> = {
  ...COLLATERAL_EXPLANATIONS,
  ...RA_TLS_EXPLANATIONS,
  ...QCNL_EXPLANATIONS,
  ...MAA_EXPLANATIONS,
  ...INSPECT_EXPLANATIONS,
};

/** What a code means and what to do about it. */
export function explain(code: AttestationErrorCode): Explanation {
  return isAppraisalCode(code) ? explainAppraisal(code) : EXPLANATIONS[code];
}

/** Whether a text is a code of this package. */
export function isAttestationCode(text: string): text is AttestationErrorCode {
  return isAppraisalCode(text) || Object.hasOwn(EXPLANATIONS, text);
}
