export type { Allowed, Decision, Denial, DenialCode, Denied } from "./decision.ts";
export {
  type CertificateRule,
  type Identity,
  type ModelRule,
  type PlatformRule,
  type Policy,
  POLICY_SCHEMA,
  type SecretEncoding,
  type SecretsRule,
  type ServingRule,
  type SgxIdentity,
  type TcbRule,
  type TcbStatusName,
  type TdxIdentity,
  type Workload,
} from "./policy.ts";
