export type { Allowed, Decision, Denial, DenialCode, Denied } from "./decision.ts";
export { policySha256 } from "./digest.ts";
export { evaluate, replay } from "./evaluate.ts";
export { parsePolicy, REFUSE_ALL } from "./parse.ts";
export { isServiceRule } from "./platform.ts";
export {
  type CertificateRule,
  type Identity,
  type ModelRule,
  type NamedKey,
  type PlatformRule,
  type Policy,
  POLICY_SCHEMA,
  type SecretEncoding,
  type SecretsRule,
  type ServiceRule,
  type ServingRule,
  type SgxIdentity,
  type TcbRule,
  type TcbStatusName,
  type TdxIdentity,
  type Workload,
} from "./policy.ts";
export { type PolicyClaims, policyClaimsSha256, toPolicyClaims } from "./policy-claims.ts";
export { PolicyError, type PolicyErrorCode } from "./policy-error.ts";
export { importRaConfig, type ImportedPolicy, type ImportNote } from "./import-ra-config.ts";
export { diffPolicies, type PastDecision, type PlannedEffect, planPolicy, type PolicyChange } from "./plan.ts";
