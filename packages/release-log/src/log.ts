import type { LogEntry } from "./entry.ts";

/** Proof that an entry is in the log of a signed checkpoint (RFC 6962, section 2.1.1). */
export interface LogProof {
  readonly leafIndex: number;
  /** The leaf as hashed: canonical JSON of the entry. */
  readonly entry: Uint8Array;
  /** Sibling hashes from the leaf upwards, 32 bytes each. */
  readonly path: readonly Uint8Array[];
  /** Signed note (C2SP tlog-checkpoint): origin, size, root, signature. */
  readonly checkpoint: string;
}

/** A log that can be appended to. The broker needs no more of it than this. */
export interface ReleaseLog {
  /** Resolves when the entry and a checkpoint that covers it are on stable storage; the proof is against that checkpoint. */
  append(entry: LogEntry): Promise<LogProof>;
  /** Number of entries on stable storage. */
  readonly size: number;
  /** The newest durable checkpoint. */
  readonly checkpoint: string;
  /** Entries from `start` on, oldest first. */
  entries(start?: number): AsyncIterable<{ readonly index: number; readonly entry: LogEntry }>;
  close(): Promise<void>;
}
