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

export interface AppendOptions {
  /**
   * Take a release only when no release to the same peer key is in the log. A log with several writers decides that in the
   * transaction of the append; a log with one writer leaves it to that writer, who has seen every release.
   */
  readonly unlessReleased?: boolean;
}

/** A log that can be appended to. The broker needs no more of it than this. */
export interface ReleaseLog {
  /**
   * Resolves when the entry and a checkpoint that covers it are on stable storage; the proof is against that checkpoint.
   * A log with several writers may reject a release with LOG_ALREADY_RELEASED or LOG_POLICY_SUPERSEDED.
   */
  append(entry: LogEntry, options?: AppendOptions): Promise<LogProof>;
  /** Number of entries on stable storage. */
  readonly size: number;
  /** The newest durable checkpoint. */
  readonly checkpoint: string;
  /** True when the log takes nothing more until it is opened, and so checked, again. */
  readonly isBroken?: boolean;
  /** Entries from `start` on, oldest first. */
  entries(start?: number): AsyncIterable<{ readonly index: number; readonly entry: LogEntry }>;
  close(): Promise<void>;
}
