import { leafHash, ReleaseLogError, type ReleaseLogErrorCode } from "@cloister/release-log";
import type { Client } from "./connection.ts";

// The statements of the log. Indices are bigint columns, which the driver gives as text.

/** Leaf hashes that one statement reads: 1.6 MB, twice that as hexadecimal digits. */
const HASH_PAGE = 50_000;
const ENTRY_PAGE = 2000;
const HASH_BYTES = 32;

export interface Head {
  readonly size: number;
  readonly checkpoint: string;
  /** Digest of the active policy; null where none was ever activated. */
  readonly policySha256: string | null;
}

export interface NewRows {
  readonly firstIndex: number;
  readonly leaves: readonly Uint8Array[];
  /** Peer keys of the releases among them, beside their indices. */
  readonly served: readonly { readonly peerKeySha256: string; readonly leafIndex: number }[];
  readonly checkpoint: string;
}

/** Reads the head; with `lock`, in a transaction that it begins and that makes every other writer wait. */
export async function readHead(client: Client, { lock }: { lock: boolean }): Promise<Head> {
  if (lock) await client.query("BEGIN");
  const { rows } = await client.query<{ size: string; checkpoint: string; policy_sha256: string | null }>(
    `SELECT size, checkpoint, policy_sha256 FROM cloister.head${lock ? " FOR UPDATE" : ""}`,
  );
  const [row] = rows;
  if (row === undefined) throw logError("LOG_CORRUPT", "the head of the log is gone");
  return { size: Number(row.size), checkpoint: row.checkpoint, policySha256: row.policy_sha256 };
}

/** Yields the leaf hashes from `start` to `end` in pages. Throws LOG_CORRUPT for a gap. */
export async function* readLeafHashes(client: Client, start: number, end: number): AsyncGenerator<Uint8Array[]> {
  for (let from = start; from < end; from += HASH_PAGE) {
    const to = Math.min(from + HASH_PAGE, end);
    const { rows } = await client.query<{ hashes: Buffer | null }>(
      `SELECT string_agg(leaf_hash, ''::bytea ORDER BY leaf_index) AS hashes
       FROM cloister.entries WHERE leaf_index >= $1 AND leaf_index < $2`,
      [from, to],
    );
    const hashes = rows[0]?.hashes;
    if (hashes?.length !== (to - from) * HASH_BYTES) throw logError("LOG_CORRUPT", "entries are missing");
    yield Array.from({ length: to - from }, (_, i) => hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
  }
}

/** Yields the entries from `start` to `end` in pages, each as its bytes. Throws LOG_CORRUPT for a gap. */
export async function* readLeaves(
  query: (text: string, values: readonly unknown[]) => Promise<Record<string, unknown>[]>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array[]> {
  for (let from = start; from < end; from += ENTRY_PAGE) {
    const to = Math.min(from + ENTRY_PAGE, end);
    const rows = await query(
      "SELECT entry FROM cloister.entries WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index",
      [from, to],
    );
    const leaves = rows.map(({ entry }) => entry).filter((entry) => entry instanceof Uint8Array);
    if (leaves.length !== to - from) throw logError("LOG_CORRUPT", "entries are missing");
    yield leaves;
  }
}

/** Which of these peer keys have a release in the log. */
export async function readServed(client: Client, peerKeys: readonly string[]): Promise<Set<string>> {
  const { rows } = await client.query<{ peer_key_sha256: string }>(
    "SELECT peer_key_sha256 FROM cloister.served_keys WHERE peer_key_sha256 = ANY($1)",
    [peerKeys],
  );
  return new Set(rows.map((row) => row.peer_key_sha256));
}

/** Writes entries, served keys, checkpoint and head in one statement of the open transaction. */
export async function writeRows(client: Client, { firstIndex, leaves, served, checkpoint }: NewRows): Promise<void> {
  await client.query(
    `WITH
       new_entries AS (
         INSERT INTO cloister.entries (leaf_index, entry, leaf_hash)
         SELECT $1::bigint + place - 1, entry, leaf_hash
         FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS new (entry, leaf_hash, place)),
       new_served AS (
         INSERT INTO cloister.served_keys (peer_key_sha256, leaf_index)
         SELECT * FROM unnest($4::text[], $5::bigint[]) ON CONFLICT DO NOTHING),
       new_checkpoint AS (INSERT INTO cloister.checkpoints (size, note) VALUES ($6, $7))
     UPDATE cloister.head SET size = $6, checkpoint = $7`,
    [
      firstIndex,
      leaves,
      leaves.map(leafHash),
      served.map(({ peerKeySha256 }) => peerKeySha256),
      served.map(({ leafIndex }) => leafIndex),
      firstIndex + leaves.length,
      checkpoint,
    ],
  );
}

export function logError(code: ReleaseLogErrorCode, why: string, cause?: unknown): ReleaseLogError {
  return new ReleaseLogError(
    code,
    {
      what: "the shared release log did not do it",
      why,
      remedy: "nothing was released; look at the database and at the other brokers",
    },
    { cause },
  );
}
