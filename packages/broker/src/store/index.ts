/** What several brokers behind one name share: log, keys, served RA-TLS keys and policy. */
export { followPolicies, type PolicySource, type StoredPolicy } from "./follow-policies.ts";
export type { PostgresSettings } from "./postgres/connection.ts";
export { openPostgresStore, type PostgresStore, type SharedLog, type SharedLogOptions } from "./postgres/store.ts";
export { readStoreSettings } from "./postgres/store-url.ts";
export { verifyPostgresLog } from "./postgres/verify-log.ts";
