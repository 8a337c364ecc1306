import type { Checkpoint } from "./note.ts";
import { decodeLogEntry, type LogEntry } from "./entry.ts";
import type { LogProof } from "./log.ts";
import { leafHash, verifyInclusion } from "./merkle.ts";
import { ReleaseLogError } from "./release-log-error.ts";

/** The entry of a proof, which is shown to be in the log of that checkpoint. Throws LOG_PROOF_INVALID, LOG_ENTRY_MALFORMED. */
export function provenEntry(proof: LogProof, checkpoint: Checkpoint): LogEntry {
  const entry = decodeLogEntry(proof.entry);
  if (verifyInclusion(leafHash(proof.entry), proof.leafIndex, checkpoint.size, proof.path, checkpoint.root))
    return entry;
  throw proofInvalid("its path does not lead to the root of the checkpoint");
}

export function proofInvalid(why: string): ReleaseLogError {
  return new ReleaseLogError("LOG_PROOF_INVALID", {
    what: "the entry is not proved to be in the log",
    why,
    remedy: "refuse what came with this proof",
  });
}
