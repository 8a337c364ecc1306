import { createPublicKey, type KeyObject } from "node:crypto";
import { CheckpointSigner } from "@cloister/release-log";
import type { KeyStorage } from "../../keys/key-storage.ts";
import { Connection, type PostgresSettings } from "./connection.ts";
import { postgresKeyStorage } from "./key-storage.ts";
import { PostgresPolicies } from "./policy-store.ts";
import { PostgresLog } from "./postgres-log.ts";
import { prepareDatabase, prepareLog } from "./schema.ts";

export interface SharedLogOptions {
  /** Name of the log in its checkpoints; the same for all brokers. */
  readonly origin: string;
  /** Ed25519 private key of the log; the same for all brokers. It also signs which policy is active. */
  readonly signingKey: KeyObject;
}

export interface SharedLog {
  readonly log: PostgresLog;
  readonly policies: PostgresPolicies;
}

/** What several brokers behind one name have in common. */
export interface PostgresStore {
  /** For `KeyStore.open`. The key of the log may be kept there too. */
  readonly keyStorage: KeyStorage;
  /**
   * Opens the log and the policies, once. The log's tree is rebuilt and held against its signed checkpoint.
   * Throws LOG_CORRUPT, LOG_FORKED, LOG_SIGNATURE_INVALID or LOG_WRITE_FAILED.
   */
  openLog(options: SharedLogOptions): Promise<SharedLog>;
  /** Waits for appends in progress, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Opens the store in a database, and makes it where the database is empty.
 * Throws `BrokerError` STORE_OPTIONS_INVALID, STORE_UNAVAILABLE or STORE_NOT_DURABLE.
 */
export async function openPostgresStore(settings: PostgresSettings): Promise<PostgresStore> {
  // Appends, everything that is read, and switches of the policy do not wait for each other.
  const [writer, reader, switches] = [new Connection(settings), new Connection(settings), new Connection(settings)];
  const open: { log?: PostgresLog; policies?: PostgresPolicies } = {};
  const close = async (): Promise<void> => {
    await open.log?.close();
    open.policies?.close();
    await Promise.all([writer, reader, switches].map((connection) => connection.close()));
  };
  try {
    await writer.use(prepareDatabase);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    keyStorage: postgresKeyStorage(reader),
    close,
    async openLog({ origin, signingKey }) {
      const publicKey = createPublicKey(signingKey);
      const signer = new CheckpointSigner(origin, signingKey, publicKey);
      await writer.use((client) => prepareLog(client, signer));
      open.log = new PostgresLog({ writer, reader, origin, publicKey, signer });
      open.policies = new PostgresPolicies({ settings, connection: switches, origin, signingKey, publicKey });
      await open.log.refresh();
      return { log: open.log, policies: open.policies };
    },
  };
}
