import type { KeyObject } from "node:crypto";
import { equalBytes } from "@cloister/encoding";
import { parseCheckpoint, verifyCheckpoint } from "../checkpoint.ts";
import { classifyLine } from "../log-line.ts";
import { leafHash } from "../merkle.ts";
import { MerkleTree } from "../merkle-tree.ts";
import { ReleaseLogError } from "../release-log-error.ts";
import { readLines } from "./read-lines.ts";
import type { LogStorage } from "./storage.ts";

export interface ScannedLog {
  /** Exactly the entries that the newest checkpoint covers. */
  readonly tree: MerkleTree;
  /** File offset of each entry. */
  readonly offsets: number[];
  readonly checkpoint: string;
  /** Offset after the newest checkpoint; what follows was never acknowledged. */
  readonly end: number;
  /** Bytes after `end`: the traces of a crash in the middle of a write. */
  readonly tornBytes: number;
}

export interface ScanOptions {
  readonly origin: string;
  readonly publicKey: KeyObject;
  /** Sees each entry in order; may throw. */
  readonly onEntry?: (leaf: Uint8Array, index: number) => void;
  /** Checks root and signature of every checkpoint, not of the newest alone. */
  readonly everyCheckpoint?: boolean;
}

function corrupt(why: string, cause?: unknown): ReleaseLogError {
  return new ReleaseLogError(
    "LOG_CORRUPT",
    {
      what: "the release log is damaged",
      why,
      remedy: "keep the file as evidence and restore a copy; it is not repaired",
    },
    { cause },
  );
}

/**
 * Reads a whole log, rebuilds its tree and checks it against the newest checkpoint. Damage below that checkpoint is a torn
 * tail; damage above it is LOG_CORRUPT. Throws LOG_CORRUPT, LOG_SIGNATURE_INVALID or what `onEntry` throws.
 */
export async function scanLog(storage: LogStorage, options: ScanOptions): Promise<ScannedLog> {
  const tree = new MerkleTree();
  const offsets: number[] = [];
  let newest: { note: string; size: number; end: number } | undefined;
  let damagedAt: number | undefined;
  let fileEnd = 0;
  for await (const lines of readLines(storage)) {
    for (const { line, start, end, isComplete } of lines) {
      fileEnd = end;
      const parsed = isComplete ? classifyLine(line) : ({ kind: "damaged" } as const);
      if (newest === undefined && parsed.kind !== "checkpoint") throw corrupt("it does not start with a checkpoint");
      if (parsed.kind === "damaged") damagedAt ??= start;
      if (parsed.kind === "entry" && damagedAt === undefined) {
        options.onEntry?.(parsed.leaf, tree.size);
        tree.append(leafHash(parsed.leaf));
        offsets.push(start);
      }
      if (parsed.kind === "checkpoint") {
        if (damagedAt !== undefined)
          throw corrupt(`the line at byte ${damagedAt} is unreadable, and a checkpoint follows it`);
        newest = { note: parsed.note, size: checkpointSize(parsed.note, tree, options), end };
      }
    }
  }
  if (newest === undefined) throw corrupt("it has no checkpoint");
  tree.truncate(newest.size);
  offsets.length = newest.size;
  checkHead(newest.note, tree, options);
  return { tree, offsets, checkpoint: newest.note, end: newest.end, tornBytes: fileEnd - newest.end };
}

function checkpointSize(note: string, tree: MerkleTree, options: ScanOptions): number {
  if (options.everyCheckpoint === true) checkHead(note, tree, options);
  const { size } = parseCheckpoint(note);
  if (size !== tree.size) throw corrupt(`a checkpoint of ${size} entries stands after ${tree.size}`);
  return size;
}

function checkHead(note: string, tree: MerkleTree, { origin, publicKey }: ScanOptions): void {
  const head = verifyCheckpoint(note, { origin, publicKey });
  if (head.size !== tree.size || !equalBytes(head.root, tree.root())) {
    throw corrupt("the entries do not have the root that the checkpoint signs");
  }
}
