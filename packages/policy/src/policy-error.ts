import { CodedError } from "@cloister/encoding";

export type PolicyErrorCode =
  /** The value does not have the form of a policy: an unknown or missing key, a wrong type, a malformed hex or number. */
  | "POLICY_MALFORMED"
  /** A production policy names a simulated platform. */
  | "POLICY_SIMULATED_IN_PRODUCTION"
  /** A production policy lets a debug enclave in. */
  | "POLICY_DEBUG_IN_PRODUCTION"
  /** Two workloads have one name. */
  | "POLICY_DUPLICATE_WORKLOAD"
  /** The validity window of a workload ends before it starts. */
  | "POLICY_EMPTY_WINDOW";

/** The one error class of this package. Messages name the path in the policy, never the value found there. */
export class PolicyError extends CodedError<PolicyErrorCode> {}
