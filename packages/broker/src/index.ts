export { startBroker, DEFAULT_LIMITS } from "./broker.ts";
export { createMetrics, type Metrics } from "./metrics.ts";
export { KeyStore } from "./keys/key-store.ts";
export { BrokerError, type BrokerErrorCode } from "./broker-error.ts";
export type { AlarmCode, BrokerEvent, ConnectionCode, RefusalFacts, ReleaseFacts } from "./events.ts";
export type {
  Appraise,
  Broker,
  BrokerLimits,
  BrokerOptions,
  BundleSource,
  KeySource,
  PublishedBundle,
  ServingCa,
} from "./options.ts";
export type { OwnRefusalCode, RefusalCode } from "./refusal.ts";
