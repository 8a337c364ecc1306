import type { KeyObject } from "node:crypto";
import { equalBytes } from "@cloister/encoding";
import {
  decodeLogEntry,
  leafHash,
  type LogEntry,
  MerkleTree,
  verifyCheckpoint,
  verifyContinuation,
} from "@cloister/release-log";
import { Connection, type PostgresSettings } from "./connection.ts";
import { logError, readHead, readLeaves } from "./log-rows.ts";

/**
 * Verifies the whole log of a database without changing it: form of every entry, root and signature of every checkpoint, that
 * the list of served keys is the one of the releases, and that the log continues `seen`, a checkpoint kept elsewhere.
 * Throws LOG_CORRUPT, LOG_ENTRY_MALFORMED, LOG_SIGNATURE_INVALID, LOG_FORKED or STORE_UNAVAILABLE.
 */
export async function verifyPostgresLog(
  settings: PostgresSettings,
  options: {
    readonly origin: string;
    readonly publicKey: KeyObject;
    readonly seen?: string;
    readonly onEntry?: (entry: LogEntry, index: number) => void;
  },
): Promise<{ readonly size: number; readonly checkpoint: string }> {
  const connection = new Connection(settings);
  try {
    const head = await connection.use((client) => readHead(client, { lock: false }));
    const tree = new MerkleTree();
    const served = new Set<string>();
    const query = (text: string, values: readonly unknown[]) => connection.query(text, values);
    for await (const leaves of readLeaves(query, 0, head.size)) {
      for (const leaf of leaves) {
        const entry = decodeLogEntry(leaf);
        options.onEntry?.(entry, tree.size);
        tree.append(leafHash(leaf));
        if (entry.decision === "released" && entry.peerKeySha256 !== null) served.add(entry.peerKeySha256);
      }
    }
    await checkCheckpoints(connection, tree, options);
    await checkServed(connection, served, head.size);
    const newest = verifyCheckpoint(head.checkpoint, options);
    if (newest.size !== tree.size || !equalBytes(newest.root, tree.root())) {
      throw logError("LOG_CORRUPT", "the entries do not have the root that the newest checkpoint signs");
    }
    if (options.seen !== undefined) {
      const older = verifyCheckpoint(options.seen, options);
      verifyContinuation(older, newest, older.size <= newest.size ? tree.consistencyPath(older.size) : []);
    }
    return { size: head.size, checkpoint: head.checkpoint };
  } finally {
    await connection.close();
  }
}

async function checkCheckpoints(
  connection: Connection,
  tree: MerkleTree,
  expected: { readonly origin: string; readonly publicKey: KeyObject },
): Promise<void> {
  const rows = await connection.query("SELECT size, note FROM cloister.checkpoints WHERE size <= $1", [tree.size]);
  for (const { size, note } of rows) {
    const checkpoint = verifyCheckpoint(String(note), expected);
    if (String(checkpoint.size) !== size || !equalBytes(checkpoint.root, tree.root(checkpoint.size))) {
      throw logError("LOG_CORRUPT", "a checkpoint does not fit the entries");
    }
  }
}

async function checkServed(connection: Connection, expected: ReadonlySet<string>, size: number): Promise<void> {
  const rows = await connection.query("SELECT peer_key_sha256 AS key FROM cloister.served_keys WHERE leaf_index < $1", [
    size,
  ]);
  const isSame = rows.length === expected.size && rows.every(({ key }) => typeof key === "string" && expected.has(key));
  if (!isSame) throw logError("LOG_CORRUPT", "the served keys are not those of the releases");
}
