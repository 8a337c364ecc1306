import { utf8 } from "@cloister/encoding";
import type { NewEntries, Row, StoreClient, StoreValue } from "../client.ts";
import type { Statement } from "./worker-messages.ts";

/** Not a lock at the first write: what was read before would have to be read again then. */
const BEGIN: Statement = { text: "BEGIN IMMEDIATE", runs: [[]] };

/** What the store says to SQLite. */
export class SqliteClient implements StoreClient {
  readonly forUpdate = "";
  readonly #send: (statements: readonly Statement[]) => Promise<Row[]>;
  #isBeginning = false;

  /** `send` takes statements to the thread of the connection, and answers with the rows of the last one. */
  constructor(send: (statements: readonly Statement[]) => Promise<Row[]>) {
    this.#send = send;
  }

  query(text: string, values: readonly StoreValue[] = []): Promise<Row[]> {
    return this.#run([{ text, runs: [values] }]);
  }

  async begin(): Promise<void> {
    // It goes with the next statement: each way to the thread and back is a fifth of what an append takes.
    this.#isBeginning = true;
  }

  async lockDocuments(): Promise<void> {
    // The transaction has the lock of the whole database.
  }

  async leafHashes(start: number, end: number): Promise<Uint8Array> {
    // SQLite has no sum of bytes, and fifty thousand rows are slow to hand over.
    const [row] = await this.query(
      `SELECT group_concat(hex(leaf_hash), '' ORDER BY leaf_index) AS hashes
       FROM entries WHERE leaf_index >= $1 AND leaf_index < $2`,
      [start, end],
    );
    const hashes = row?.["hashes"];
    return Buffer.from(typeof hashes === "string" ? hashes : "", "hex");
  }

  async leaves(start: number, end: number): Promise<Uint8Array[]> {
    // An entry is one line of UTF-8 text. Whatever else somebody has put there comes out as other bytes, which its hash tells.
    const [row] = await this.query(
      `SELECT group_concat(CAST(entry AS TEXT), char(10) ORDER BY leaf_index) AS entries
       FROM entries WHERE leaf_index >= $1 AND leaf_index < $2`,
      [start, end],
    );
    const entries = row?.["entries"];
    return typeof entries === "string" ? entries.split("\n").map((entry) => utf8(entry)) : [];
  }

  servedAmong(peerKeys: readonly string[]): Promise<Row[]> {
    const text = "SELECT peer_key_sha256 FROM served_keys WHERE peer_key_sha256 IN (SELECT value FROM json_each($1))";
    return this.query(text, [JSON.stringify(peerKeys)]);
  }

  async commitEntries({ firstIndex, leaves, leafHashes, served, checkpoint }: NewEntries): Promise<void> {
    const size = firstIndex + leaves.length;
    await this.#run([
      {
        text: "INSERT INTO entries (leaf_index, entry, leaf_hash) VALUES ($1, $2, $3)",
        runs: leaves.map((leaf, i) => [firstIndex + i, leaf, leafHashes[i] ?? null]),
      },
      {
        text: "INSERT INTO served_keys (peer_key_sha256, leaf_index) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        runs: served.map(({ peerKeySha256, leafIndex }) => [peerKeySha256, leafIndex]),
      },
      { text: "INSERT INTO checkpoints (size, note) VALUES ($1, $2)", runs: [[size, checkpoint]] },
      { text: "UPDATE head SET size = $1, checkpoint = $2", runs: [[size, checkpoint]] },
      { text: "COMMIT", runs: [[]] },
    ]);
  }

  async notifyPolicy(): Promise<void> {
    // SQLite tells nobody; the other brokers look.
  }

  #run(statements: readonly Statement[]): Promise<Row[]> {
    const isBeginning = this.#isBeginning;
    this.#isBeginning = false;
    return this.#send(isBeginning ? [BEGIN, ...statements] : statements);
  }
}
