import { createPublicKey, type KeyObject } from "node:crypto";
import { CheckpointSigner, MerkleTree } from "@cloister/release-log";
import type { KeyStorage } from "../keys/key-storage.ts";
import type { StoreClient, StoreConnection } from "./client.ts";
import { DatabaseLog } from "./database-log.ts";
import { databaseKeyStorage } from "./key-storage.ts";
import { StoredPolicies } from "./policy-store.ts";
import { PostgresConnection, type PostgresSettings } from "./postgres/connection.ts";
import { openPostgres } from "./postgres/database.ts";
import { SqliteConnection, type SqliteSettings } from "./sqlite/connection.ts";
import { openSqlite } from "./sqlite/database.ts";
import { unavailable } from "./unavailable.ts";

/** A file on this machine, or a server. */
export type StoreSettings = SqliteSettings | PostgresSettings;

export interface StoredLogOptions {
  /** Name of the log in its checkpoints; the same for all brokers. */
  readonly origin: string;
  /** Ed25519 private key of the log; the same for all brokers. It also signs which policy is active. */
  readonly signingKey: KeyObject;
}

export interface StoredLog {
  readonly log: DatabaseLog;
  readonly policies: StoredPolicies;
}

/** What a broker keeps, and what several brokers behind one name have in common. */
export interface BrokerStore {
  /** For `KeyStore.open`. The key of the log may be kept there too. */
  readonly keyStorage: KeyStorage;
  /**
   * Opens the log and the policies, once. The log's tree is rebuilt and held against its signed checkpoint.
   * Throws LOG_CORRUPT, LOG_FORKED, LOG_SIGNATURE_INVALID or LOG_WRITE_FAILED.
   */
  openLog(options: StoredLogOptions): Promise<StoredLog>;
  /** Waits for appends in progress, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Opens the store in a database, and makes it where the database is empty.
 * Throws `BrokerError` STORE_OPTIONS_INVALID, STORE_UNAVAILABLE, STORE_DAMAGED or STORE_NOT_DURABLE.
 */
export async function openStore(settings: StoreSettings): Promise<BrokerStore> {
  const database = "path" in settings ? await openSqlite(settings) : await openPostgres(settings);
  const { writer, reader, switches: connection, listen } = database;
  let log: DatabaseLog | undefined;
  return {
    keyStorage: databaseKeyStorage(reader),
    async close() {
      await log?.close();
      await database.close();
    },
    async openLog({ origin, signingKey }) {
      const publicKey = createPublicKey(signingKey);
      const signer = new CheckpointSigner(origin, signingKey, publicKey);
      await writer.use((client) => prepareLog(client, signer));
      log = new DatabaseLog({ writer, reader, origin, publicKey, signer });
      await log.refresh();
      return { log, policies: new StoredPolicies({ connection, listen, origin, signingKey, publicKey }) };
    },
  };
}

/** A connection that changes nothing, opened when it is used. */
export function connectToRead(settings: StoreSettings): StoreConnection {
  return "path" in settings ? new SqliteConnection(settings, { readOnly: true }) : new PostgresConnection(settings);
}

/** Puts an empty, signed log where there is none. Throws STORE_UNAVAILABLE. */
async function prepareLog(client: StoreClient, signer: CheckpointSigner): Promise<void> {
  try {
    const note = signer.sign({ size: 0, root: new MerkleTree().root() });
    await client.begin();
    // Of brokers that start together, the row of one stays.
    const made = await client.query(
      "INSERT INTO head (size, checkpoint) VALUES (0, $1) ON CONFLICT DO NOTHING RETURNING size",
      [note],
    );
    if (made.length > 0) await client.query("INSERT INTO checkpoints (size, note) VALUES (0, $1)", [note]);
    await client.query("COMMIT");
  } catch (error) {
    throw unavailable(error);
  }
}
