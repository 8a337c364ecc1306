import { BrokerError } from "../../broker-error.ts";
import type { StoreClient } from "../client.ts";

/** Tells our files from those of other programs: "Clst". */
const APPLICATION_ID = 0x43_6c_73_74;

// As in PostgreSQL. The triggers are against accidents; against who can write to the file there are the signatures.
const SCHEMA = [
  `CREATE TABLE head (
     only_row INT PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
     size INTEGER NOT NULL,
     checkpoint TEXT NOT NULL,
     policy_sequence INTEGER NOT NULL DEFAULT 0,
     policy_sha256 TEXT,
     policy_signature BLOB
   ) STRICT`,
  `CREATE TABLE entries (
     leaf_index INTEGER PRIMARY KEY,
     entry BLOB NOT NULL,
     leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32)
   ) STRICT`,
  "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
  "CREATE TABLE served_keys (peer_key_sha256 TEXT PRIMARY KEY, leaf_index INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  "CREATE TABLE policies (sha256 TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT",
  "CREATE TABLE documents (name TEXT PRIMARY KEY, version INTEGER NOT NULL, content BLOB NOT NULL) STRICT",
  ...["entries", "checkpoints"].flatMap((table) =>
    ["UPDATE", "DELETE"].map(
      (change) =>
        `CREATE TRIGGER ${table}_only_grow_${change.toLowerCase()} BEFORE ${change} ON ${table}
         BEGIN SELECT RAISE(ABORT, 'the release log only grows'); END`,
    ),
  ),
  `PRAGMA application_id = ${APPLICATION_ID}`,
];

/**
 * Makes the tables where there are none. Brokers that start together take turns. Throws STORE_OPTIONS_INVALID for the database
 * of another program, STORE_NOT_DURABLE where the file system cannot do what several brokers need, and STORE_UNAVAILABLE.
 */
export async function prepareSqlite(client: StoreClient): Promise<void> {
  const [journal] = await client.query("PRAGMA journal_mode");
  if (journal?.["journal_mode"] !== "wal") {
    throw new BrokerError("STORE_NOT_DURABLE", {
      what: "the store was not opened",
      why: "its file system has no memory that processes share, so SQLite cannot keep a write-ahead log there",
      remedy: "put it on a disk of this machine; for several machines there is PostgreSQL",
    });
  }
  await client.begin();
  const [application] = await client.query("PRAGMA application_id");
  const isOurs = application?.["application_id"] === APPLICATION_ID;
  const tables = await client.query("SELECT name FROM sqlite_schema LIMIT 1");
  if (!isOurs && tables.length > 0) {
    throw new BrokerError("STORE_OPTIONS_INVALID", {
      what: "the store was not opened",
      why: "the file is the database of another program",
      remedy: "give another file, which is made where there is none",
    });
  }
  if (!isOurs) for (const statement of SCHEMA) await client.query(statement);
  await client.query("COMMIT");
}
