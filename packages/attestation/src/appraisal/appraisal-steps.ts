import type { AttestationErrorCode } from "../errors.ts";

/** Steps of an appraisal in their order, as `VerifiedClaims.checked` names them. */
const STEPS = [
  "quote-structure",
  "trust-anchor",
  "root-crl",
  "pck-chain",
  "pck-crl",
  "tcb-info",
  "qe-identity",
  "collateral-match",
  "qe-report",
  "qe-policy",
  "quote-signature",
  "tdx-module",
  "tcb-level",
] as const;

export type AppraisalStep = (typeof STEPS)[number];

/** Beginnings of codes with the step that they belong to. The first that fits counts. */
const STEP_OF: readonly (readonly [RegExp, AppraisalStep])[] = [
  [/^QUOTE_SIGNATURE/, "quote-signature"],
  [/^QUOTE_/, "quote-structure"],
  [/^ANCHOR_|^PCK_CHAIN_ROOT_NOT_TRUSTED$/, "trust-anchor"],
  [/^ROOT_CRL/, "root-crl"],
  [/^PCK_CRL|^PCK_CERTIFICATE_REVOKED$/, "pck-crl"],
  [/^PCK_/, "pck-chain"],
  [/_TEE_MISMATCH$|^FMSPC_|^PCEID_/, "collateral-match"],
  [/^TCB_INFO|^TCB_SIGNER/, "tcb-info"],
  [/^QE_IDENTITY/, "qe-identity"],
  [/^QE_REPORT/, "qe-report"],
  [/^QE_/, "qe-policy"],
  [/^TDX_MODULE/, "tdx-module"],
  [/^TCB_/, "tcb-level"],
];

/**
 * How far a refused appraisal came: the steps before the one that refused, and that one. `undefined` where the code is not
 * one of an appraisal.
 */
export function stepsUntil(
  code: AttestationErrorCode,
): { readonly passed: readonly AppraisalStep[]; readonly failed: AppraisalStep } | undefined {
  const failed = STEP_OF.find(([beginning]) => beginning.test(code))?.[1];
  if (failed === undefined) return undefined;
  return { passed: STEPS.slice(0, STEPS.indexOf(failed)), failed };
}
