import type { KeyObject } from "node:crypto";
import { type Checkpoint, parseCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import type { LogEntry } from "./entry.ts";
import { provenEntry } from "./inclusion.ts";
import type { LogProof } from "./log.ts";
import { type TreeHead, verifyConsistency } from "./merkle.ts";
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
  return { entry: provenEntry(proof, checkpoint), checkpoint };
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
