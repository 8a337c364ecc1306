/** The enclave's half of provisioning. */
export { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
export { provision, provisionNative } from "./provision.ts";
export type {
  BrokerEndpoint,
  NamedSecret,
  NativeProvisioned,
  NativeProvisionOptions,
  Provisioned,
  ProvisionedModel,
  ProvisionedServing,
  ProvisionOptions,
} from "./provisioned.ts";
