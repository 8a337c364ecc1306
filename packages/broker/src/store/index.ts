/** What a broker keeps and several brokers behind one name share: log, keys, served RA-TLS keys and policy. */
export { followPolicies, type PolicySource, type StoredPolicy } from "./follow-policies.ts";
export type { PostgresSettings } from "./postgres/connection.ts";
export type { SqliteSettings } from "./sqlite/connection.ts";
export { type BrokerStore, openStore, type StoredLog, type StoredLogOptions, type StoreSettings } from "./store.ts";
export { readStoreSettings } from "./store-url.ts";
export { verifyStoredLog } from "./verify-log.ts";
