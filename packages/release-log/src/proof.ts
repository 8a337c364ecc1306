import type { KeyObject } from "node:crypto";
import { type Checkpoint, parseCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { decodeLogEntry, type LogEntry } from "./entry.ts";
import type { LogProof } from "./log.ts";
import { leafHash, type TreeHead, verifyConsistency, verifyInclusion } from "./merkle.ts";
import { ReleaseLogError } from "./release-log-error.ts";

/**
 * Checks that the proof's entry is in the log of its checkpoint, and, when `publicKey` is given, that the log signed that
 * checkpoint. Returns the entry. Throws LOG_PROOF_INVALID, LOG_ENTRY_MALFORMED, LOG_CHECKPOINT_MALFORMED or
 * LOG_SIGNATURE_INVALID.
 */
export function verifyLogProof(
  proof: LogProof,
  expected: { origin?: string; publicKey?: KeyObject } = {},
): { entry: LogEntry; checkpoint: Checkpoint } {
  const { origin, publicKey } = expected;
  const checkpoint =
    publicKey === undefined
      ? parseCheckpoint(proof.checkpoint)
      : verifyCheckpoint(proof.checkpoint, { publicKey, ...(origin !== undefined && { origin }) });
  const entry = decodeLogEntry(proof.entry);
  if (!verifyInclusion(leafHash(proof.entry), proof.leafIndex, checkpoint.size, proof.path, checkpoint.root)) {
    throw new ReleaseLogError("LOG_PROOF_INVALID", {
      what: "the entry is not proved to be in the log",
      why: "its path does not lead to the root of the checkpoint",
      remedy: "refuse what came with this proof",
    });
  }
  return { entry, checkpoint };
}

/** Checks that the newer log continues the older one. Throws LOG_FORKED. */
export function verifyContinuation(older: TreeHead, newer: TreeHead, path: readonly Uint8Array[]): void {
  if (verifyConsistency(older, newer, path)) return;
  throw new ReleaseLogError("LOG_FORKED", {
    what: "the log does not continue the one seen before",
    why: "the consistency proof does not connect the two checkpoints",
    remedy: "keep both checkpoints: together they prove that history was rewritten",
  });
}
