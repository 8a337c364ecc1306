export { appraise, type Evidence } from "./appraisal/appraise.ts";
export type {
  CollateralTcbStatus,
  CrlClaims,
  DateClaims,
  PlatformClaims,
  PlatformFlags,
  SgxClaims,
  SgxType,
  TcbClaims,
  TcbStatus,
  TdxClaims,
  VerifiedClaims,
  VerifierName,
} from "./appraisal/claims.ts";
export { stepsUntil, type AppraisalStep } from "./appraisal/appraisal-steps.ts";
export { decodeCollateral, encodeCollateral, type Collateral } from "./collateral/collateral.ts";
export { verifyCollateral, type CollateralItem, type CollateralState } from "./collateral/verify-collateral.ts";
export { INTEL_PCS, type CollateralService, type UpdateType } from "./collateral/collateral-request.ts";
export { quotedPlatform, type QuotedPlatform } from "./collateral/quoted-platform.ts";
export {
  AttestationError,
  explain,
  isAttestationCode,
  type AppraisalErrorCode,
  type AttestationErrorCode,
  type CollateralErrorCode,
  type MaaErrorCode,
  type QcnlErrorCode,
  type RaTlsErrorCode,
} from "./errors.ts";
export { parseQuote, stripZeroPadding, type Quote, type QuoteBody } from "./quote/quote.ts";
export { createProductionVerifier, createVerifier, type Verifier, type VerifierOptions } from "./appraisal/verifier.ts";
export { INTEL_ROOT, type TrustAnchor } from "./appraisal/trust-anchor.ts";
export {
  appraiseRaTls,
  appraiseRaTlsAsync,
  appraiseRaTlsWith,
  createRaTlsCertificate,
  parseRaTlsCertificate,
  type RaTlsAppraisalOptions,
  type RaTlsCertificateOptions,
  type RaTlsEvidence,
  type VerifiedPeer,
} from "./ra-tls/ra-tls.ts";
