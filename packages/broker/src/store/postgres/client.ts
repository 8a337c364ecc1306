import type { Client, QueryResult } from "pg";
import type { NewEntries, Row, StoreClient, StoreValue } from "../client.ts";

/** Channel that switches of the policy are announced on. */
export const POLICY_CHANNEL = "cloister_policy";

/** What the store says to a PostgreSQL server. Its search path leads to the store's tables. */
export class PostgresClient implements StoreClient {
  readonly forUpdate = " FOR UPDATE";
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async query(text: string, values: readonly StoreValue[] = []): Promise<Row[]> {
    return (await this.#all(text, values)).rows;
  }

  async begin(): Promise<void> {
    await this.#client.query("BEGIN");
  }

  async lockDocuments(): Promise<void> {
    // A lock on the row would not stop two first writers.
    await this.#client.query("LOCK TABLE documents IN EXCLUSIVE MODE");
  }

  async leafHashes(start: number, end: number): Promise<Uint8Array> {
    const { rows } = await this.#all(
      `SELECT string_agg(leaf_hash, ''::bytea ORDER BY leaf_index) AS hashes
       FROM entries WHERE leaf_index >= $1 AND leaf_index < $2`,
      [start, end],
    );
    const hashes = rows[0]?.["hashes"];
    return hashes instanceof Uint8Array ? hashes : new Uint8Array();
  }

  async leaves(start: number, end: number): Promise<Uint8Array[]> {
    const { rows } = await this.#all(
      "SELECT entry FROM entries WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index",
      [start, end],
    );
    return rows.map(({ entry }) => entry).filter((entry) => entry instanceof Uint8Array);
  }

  async servedAmong(peerKeys: readonly string[]): Promise<Row[]> {
    return (await this.#all("SELECT peer_key_sha256 FROM served_keys WHERE peer_key_sha256 = ANY($1)", [peerKeys]))
      .rows;
  }

  async commitEntries({ firstIndex, leaves, leafHashes, served, checkpoint }: NewEntries): Promise<void> {
    await this.#all(
      `WITH
         new_entries AS (
           INSERT INTO entries (leaf_index, entry, leaf_hash)
           SELECT $1::bigint + place - 1, entry, leaf_hash
           FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS new (entry, leaf_hash, place)),
         new_served AS (
           INSERT INTO served_keys (peer_key_sha256, leaf_index)
           SELECT * FROM unnest($4::text[], $5::bigint[]) ON CONFLICT DO NOTHING),
         new_checkpoint AS (INSERT INTO checkpoints (size, note) VALUES ($6, $7))
       UPDATE head SET size = $6, checkpoint = $7`,
      [
        firstIndex,
        leaves,
        leafHashes,
        served.map(({ peerKeySha256 }) => peerKeySha256),
        served.map(({ leafIndex }) => leafIndex),
        firstIndex + leaves.length,
        checkpoint,
      ],
    );
    await this.#client.query("COMMIT");
  }

  async notifyPolicy(): Promise<void> {
    await this.#client.query(`NOTIFY ${POLICY_CHANNEL}`);
  }

  #all(text: string, values: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#client.query<Row>(text, [...values]);
  }
}
