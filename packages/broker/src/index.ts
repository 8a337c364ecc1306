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
