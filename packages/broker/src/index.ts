export { startBroker, DEFAULT_LIMITS } from "./broker.ts";
export { createMetrics, type Metrics } from "./monitoring/metrics.ts";
export { type KeyListing, KeyStore } from "./keys/key-store.ts";
export {
  passphraseFromCommand,
  passphraseFromEnvironment,
  passphraseFromFile,
  readSecretFile,
  writeSecretFile,
} from "./keys/passphrase-source.ts";
export { type KeyProtection, passphraseProtection } from "./keys/protection.ts";
export { vaultTransitProtection, type VaultTransitOptions } from "./keys/vault-transit.ts";
export { BrokerError, type BrokerErrorCode } from "./broker-error.ts";
export type { AlarmCode, BrokerEvent, ConnectionCode, RefusalFacts, ReleaseFacts } from "./monitoring/events.ts";
export type {
  Appraise,
  AskService,
  Broker,
  BrokerLimits,
  BrokerOptions,
  BundleSource,
  KeySource,
  KeyVersion,
  PublishedBundle,
  ServingCa,
} from "./options.ts";
export type { OwnRefusalCode, RefusalCode } from "./admission/refusal.ts";
