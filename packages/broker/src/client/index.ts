export type { BrokerEndpoint, Provisioned, ProvisionOptions } from "./provisioned.ts";
