import type { SecretsRule, Workload } from "./policy.ts";

export type DenialCode =
  | "MEASUREMENT_NOT_ALLOWED"
  | "SIGNER_NOT_ALLOWED"
  | "PRODUCT_ID_NOT_ALLOWED"
  | "SVN_TOO_LOW"
  | "DEBUG_ENCLAVE"
  | "ANCHOR_NOT_ALLOWED"
  | "SIMULATED_NOT_ALLOWED"
  | "TCB_STATUS_NOT_ALLOWED"
  | "ADVISORY_NOT_ACCEPTED"
  | "EVALUATION_NUMBER_TOO_LOW"
  | "COLLATERAL_TOO_OLD"
  | "COLLATERAL_EXPIRED"
  | "FMSPC_NOT_ALLOWED"
  | "PPID_NOT_ALLOWED"
  | "OUTSIDE_VALIDITY_WINDOW"
  | "NO_WORKLOAD_MATCHES";

/** One reason for a refusal: which rule looked at which claim, what it wanted and what it saw. Holds nothing secret. */
export interface Denial {
  readonly code: DenialCode;
  /** Path of the rule in the policy, for example `workloads.digits.tcb.statuses`. */
  readonly rule: string;
  readonly claim: string;
  readonly expected: string;
  readonly got: string;
}

export interface Allowed {
  readonly allowed: true;
  readonly workload: string;
  /** Path of the identity that matched, for example `workloads.digits.identities.0`. */
  readonly rule: string;
  readonly secrets: SecretsRule;
  /** The whole matching workload, for conditions outside the claims (certificate age, renewal). */
  readonly conditions: Workload;
}

/** At least one denial; those of the workload that came closest stand first. */
export interface Denied {
  readonly allowed: false;
  readonly denials: readonly Denial[];
}

export type Decision = Allowed | Denied;
