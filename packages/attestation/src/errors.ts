import { CodedError, type Explanation } from "@cloister/encoding";
import { explainAppraisal, isAppraisalCode, type AppraisalErrorCode } from "./appraisal-codes.ts";
import { COLLATERAL_EXPLANATIONS, type CollateralErrorCode } from "./collateral-codes.ts";
import { RA_TLS_EXPLANATIONS, type RaTlsErrorCode } from "./ra-tls-codes.ts";

export type { AppraisalErrorCode } from "./appraisal-codes.ts";
export type { CollateralErrorCode } from "./collateral-codes.ts";
export type { RaTlsErrorCode } from "./ra-tls-codes.ts";

/** Codes of every refusal in this package. */
export type AttestationErrorCode = AppraisalErrorCode | CollateralErrorCode | RaTlsErrorCode;

/** A refusal: of evidence, of collateral, or of a certificate that carries evidence. */
export class AttestationError extends CodedError<AttestationErrorCode> {}

/** The error for a code, with the text that belongs to it. `cause` is the lower error, where there is one. */
export function refusal(code: AttestationErrorCode, cause?: unknown): AttestationError {
  return new AttestationError(code, explain(code), cause === undefined ? undefined : { cause });
}

/** What a code means and what to do about it. */
export function explain(code: AttestationErrorCode): Explanation {
  if (isAppraisalCode(code)) return explainAppraisal(code);
  return code in RA_TLS_EXPLANATIONS
    ? RA_TLS_EXPLANATIONS[code as RaTlsErrorCode]
    : COLLATERAL_EXPLANATIONS[code as CollateralErrorCode];
}
