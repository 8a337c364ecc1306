import { BrokerError } from "../../broker-error.ts";
import type { StoreClient } from "../client.ts";
import { unavailable } from "../unavailable.ts";

/** Any number that no other program's advisory lock in this database has. */
const PREPARE_LOCK = 6_296_116_171;

// One row of `head` is what all writers lock: the size of the log, its checkpoint and the active policy change under that
// lock and nowhere else. The trigger is against accidents; against an administrator there are the signatures.
const SCHEMA = `
CREATE SCHEMA IF NOT EXISTS cloister;
CREATE TABLE IF NOT EXISTS cloister.head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  size bigint NOT NULL,
  checkpoint text NOT NULL,
  policy_sequence bigint NOT NULL DEFAULT 0,
  policy_sha256 text,
  policy_signature bytea
);
CREATE TABLE IF NOT EXISTS cloister.entries (
  leaf_index bigint PRIMARY KEY,
  entry bytea NOT NULL,
  leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
);
CREATE TABLE IF NOT EXISTS cloister.checkpoints (size bigint PRIMARY KEY, note text NOT NULL);
CREATE TABLE IF NOT EXISTS cloister.served_keys (peer_key_sha256 text PRIMARY KEY, leaf_index bigint NOT NULL);
CREATE TABLE IF NOT EXISTS cloister.policies (
  sha256 text PRIMARY KEY,
  document text NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS cloister.documents (name text PRIMARY KEY, version bigint NOT NULL, content bytea NOT NULL);
CREATE OR REPLACE FUNCTION cloister.refuse_change() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the release log only grows'; END $$;
CREATE OR REPLACE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON cloister.entries
  FOR EACH STATEMENT EXECUTE FUNCTION cloister.refuse_change();
CREATE OR REPLACE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON cloister.checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION cloister.refuse_change();
`;

/**
 * Makes the tables where there are none. Brokers that start together take turns. Throws STORE_NOT_DURABLE for a server that
 * may lose what it acknowledged, and STORE_UNAVAILABLE.
 */
export async function prepareDatabase(client: StoreClient): Promise<void> {
  try {
    await checkDurability(client);
    await client.begin();
    await client.query("SELECT pg_advisory_xact_lock($1)", [PREPARE_LOCK]);
    const [found] = await client.query("SELECT to_regclass('cloister.head') IS NOT NULL AS exists");
    if (found?.["exists"] !== true) await client.query(SCHEMA);
    await client.query("COMMIT");
  } catch (error) {
    throw unavailable(error);
  }
}

async function checkDurability(client: StoreClient): Promise<void> {
  for (const setting of ["fsync", "full_page_writes"] as const) {
    const [row] = await client.query(`SHOW ${setting}`);
    if (row?.[setting] === "on") continue;
    throw new BrokerError("STORE_NOT_DURABLE", {
      what: "the store was not opened",
      why: `the database server runs with ${setting} off and may lose what it has acknowledged`,
      remedy: `switch ${setting} on`,
    });
  }
}
