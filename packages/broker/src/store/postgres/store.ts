import { createPublicKey, type KeyObject } from "node:crypto";
import { CheckpointSigner } from "@cloister/release-log";
import type { KeyStorage } from "../../keys/key-storage.ts";
import { Connection, type PostgresSettings } from "./connection.ts";
import { postgresKeyStorage } from "./key-storage.ts";
import { PostgresPolicies } from "./policy-store.ts";
import { PostgresLog } from "./postgres-log.ts";
import { prepareDatabase } from "./schema.ts";

export interface PostgresStoreOptions {
  readonly settings: PostgresSettings;
  /** Name of the log in its checkpoints; the same for all brokers. */
  readonly origin: string;
  /** Ed25519 private key of the log; the same for all brokers. It also signs which policy is active. */
  readonly signingKey: KeyObject;
}

/** What several brokers behind one name have in common. */
export interface PostgresStore {
  readonly log: PostgresLog;
  /** For `KeyStore.open`. */
  readonly keyStorage: KeyStorage;
  readonly policies: PostgresPolicies;
  /** Waits for appends in progress, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Opens the store in a database, and makes it where the database is empty. The log's tree is rebuilt and held against its
 * signed checkpoint.
 *
 * Throws `BrokerError` STORE_OPTIONS_INVALID, STORE_UNAVAILABLE or STORE_NOT_DURABLE, and `ReleaseLogError` LOG_CORRUPT,
 * LOG_FORKED or LOG_SIGNATURE_INVALID.
 */
export async function openPostgresStore({
  settings,
  origin,
  signingKey,
}: PostgresStoreOptions): Promise<PostgresStore> {
  const publicKey = createPublicKey(signingKey);
  const signer = new CheckpointSigner(origin, signingKey, publicKey);
  const [writer, reader, policy] = [new Connection(settings), new Connection(settings), new Connection(settings)];
  const log = new PostgresLog({ writer, reader, origin, publicKey, signer });
  const policies = new PostgresPolicies({ settings, connection: policy, origin, signingKey, publicKey });
  const close = async (): Promise<void> => {
    await log.close();
    policies.close();
    await Promise.all([writer, reader, policy].map((connection) => connection.close()));
  };
  try {
    await writer.use((client) => prepareDatabase(client, signer));
    await log.refresh();
  } catch (error) {
    await close();
    throw error;
  }
  return { log, keyStorage: postgresKeyStorage(reader), policies, close };
}
