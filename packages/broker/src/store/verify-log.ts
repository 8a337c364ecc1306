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
import type { StoreConnection } from "./client.ts";
import { connectToRead, type StoreSettings } from "./store.ts";
import { logError, readHead, readLeaves } from "./log-rows.ts";

/** Rows that one statement reads. */
const PAGE = 20_000;

/**
 * Verifies the whole log of a store without changing it: form of every entry, root and signature of the newest checkpoint (or of
 * every one), that the list of served keys is the one of the releases, and that the log continues `seen`, a checkpoint kept
 * elsewhere.
 * Throws LOG_CORRUPT, LOG_ENTRY_MALFORMED, LOG_SIGNATURE_INVALID, LOG_FORKED or STORE_UNAVAILABLE.
 */
export async function verifyStoredLog(
  settings: StoreSettings,
  options: {
    readonly origin: string;
    readonly publicKey: KeyObject;
    readonly seen?: string;
    readonly everyCheckpoint?: boolean;
    readonly onEntry?: (entry: LogEntry, index: number) => void;
  },
): Promise<{ readonly size: number; readonly checkpoint: string }> {
  const connection = connectToRead(settings);
  try {
    const head = await connection.use((client) => readHead(client, { lock: false }));
    const tree = new MerkleTree();
    const served = new Set<string>();
    for await (const leaves of readLeaves(connection, 0, head.size)) {
      for (const leaf of leaves) {
        const entry = decodeLogEntry(leaf);
        options.onEntry?.(entry, tree.size);
        tree.append(leafHash(leaf));
        if (entry.decision === "released" && entry.peerKeySha256 !== null) served.add(entry.peerKeySha256);
      }
    }
    if (options.everyCheckpoint === true) await checkCheckpoints(connection, tree, options);
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
  connection: StoreConnection,
  tree: MerkleTree,
  expected: { readonly origin: string; readonly publicKey: KeyObject },
): Promise<void> {
  for (let from = 0; from <= tree.size; from += PAGE) {
    const to = Math.min(from + PAGE, tree.size + 1);
    const rows = await connection.query("SELECT size, note FROM checkpoints WHERE size >= $1 AND size < $2", [
      from,
      to,
    ]);
    for (const { size, note } of rows) {
      const checkpoint = verifyCheckpoint(String(note), expected);
      if (checkpoint.size !== Number(size) || !equalBytes(checkpoint.root, tree.root(checkpoint.size))) {
        throw logError("LOG_CORRUPT", "a checkpoint does not fit the entries");
      }
    }
  }
}

async function checkServed(connection: StoreConnection, expected: ReadonlySet<string>, size: number): Promise<void> {
  let [last, count] = ["", 0];
  for (let page = PAGE; page === PAGE;) {
    const rows = await connection.query(
      `SELECT peer_key_sha256 FROM served_keys WHERE peer_key_sha256 > $1 AND leaf_index < $2
       ORDER BY peer_key_sha256 LIMIT ${PAGE}`,
      [last, size],
    );
    for (const row of rows) {
      last = String(row["peer_key_sha256"]);
      if (!expected.has(last)) throw servedDiffer();
    }
    page = rows.length;
    count += page;
  }
  if (count !== expected.size) throw servedDiffer();
}

const servedDiffer = () => logError("LOG_CORRUPT", "the served keys are not those of the releases");
