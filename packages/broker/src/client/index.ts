export { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
export { provision } from "./provision.ts";
export type { BrokerEndpoint, Provisioned, ProvisionOptions } from "./provisioned.ts";
