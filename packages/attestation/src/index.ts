export { appraise, type Evidence } from "./appraise.ts";
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
} from "./claims.ts";
export { stepsUntil, type AppraisalStep } from "./appraisal-steps.ts";
export { decodeCollateral, encodeCollateral, type Collateral } from "./collateral.ts";
export { verifyCollateral, type CollateralItem, type CollateralState } from "./verify-collateral.ts";
export { INTEL_PCS, type CollateralService, type UpdateType } from "./collateral-request.ts";
export { quotedPlatform, type QuotedPlatform } from "./quoted-platform.ts";
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
export { createProductionVerifier, createVerifier, type Verifier, type VerifierOptions } from "./verifier.ts";
export { INTEL_ROOT, type TrustAnchor } from "./trust-anchor.ts";
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
} from "./ra-tls.ts";
