import type { KeyObject } from "node:crypto";
import { parseCheckpoint, verifyCheckpoint } from "../checkpoint.ts";
import { decodeLogEntry, type LogEntry } from "../entry.ts";
import { verifyContinuation } from "../proof.ts";
import { scanLog } from "./scan.ts";
import { openFileStorage } from "./storage.ts";

export interface VerifiedLog {
  readonly size: number;
  readonly checkpoint: string;
  /** Bytes after the newest checkpoint: a write in progress, or the trace of a crash. Nothing was released on them. */
  readonly unacknowledgedBytes: number;
}

/**
 * Verifies a whole log without changing it: form of every entry, the tree, the newest checkpoint (or every one), and that
 * it continues `seen`, an earlier checkpoint kept elsewhere. Throws LOG_CORRUPT, LOG_ENTRY_MALFORMED,
 * LOG_SIGNATURE_INVALID or LOG_FORKED.
 */
export async function verifyReleaseLogFile(
  path: string,
  options: {
    origin: string;
    publicKey: KeyObject;
    seen?: string;
    everyCheckpoint?: boolean;
    onEntry?: (entry: LogEntry, index: number) => void;
  },
): Promise<VerifiedLog> {
  const { origin, publicKey, seen, onEntry } = options;
  const storage = await openFileStorage(path, "r");
  try {
    const scanned = await scanLog(storage, {
      origin,
      publicKey,
      everyCheckpoint: options.everyCheckpoint ?? false,
      onEntry(leaf, index) {
        const entry = decodeLogEntry(leaf);
        onEntry?.(entry, index);
      },
    });
    const newest = parseCheckpoint(scanned.checkpoint);
    if (seen !== undefined) {
      const older = verifyCheckpoint(seen, { origin, publicKey });
      // An older tree larger than this one is a log that was cut: no proof can exist.
      const path = older.size <= newest.size ? scanned.tree.consistencyPath(older.size) : [];
      verifyContinuation(older, newest, path);
    }
    return { size: newest.size, checkpoint: scanned.checkpoint, unacknowledgedBytes: scanned.tornBytes };
  } finally {
    await storage.close();
  }
}
