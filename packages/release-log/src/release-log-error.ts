import { CodedError, type Explanation } from "@cloister/encoding";

export type ReleaseLogErrorCode =
  /** A line before the newest checkpoint is damaged, or the tree does not have the signed root. */
  | "LOG_CORRUPT"
  /** The signature of a checkpoint is not by the expected key, or its origin is another log's. */
  | "LOG_SIGNATURE_INVALID"
  /** The text is not a checkpoint. */
  | "LOG_CHECKPOINT_MALFORMED"
  /** The bytes are not a canonical log entry. */
  | "LOG_ENTRY_MALFORMED"
  /** A proof does not lead to the root it should. */
  | "LOG_PROOF_INVALID"
  /** The log is not a continuation of the checkpoint that was seen before. */
  | "LOG_FORKED"
  /** The entries of this batch did not reach the disk and are not in the log. */
  | "LOG_WRITE_FAILED"
  /** A failed write could not be undone, or an fsync failed: nothing more is taken until the log is opened again. */
  | "LOG_BROKEN"
  | "LOG_CLOSED"
  /** Of a log with several writers: a release to this peer key is in the log already. */
  | "LOG_ALREADY_RELEASED"
  /** Of a log with several writers: the release was decided under a policy that is no longer the active one. */
  | "LOG_POLICY_SUPERSEDED"
  /** Another process has the log open. */
  | "LOG_LOCKED"
  /** An index or size beyond the log. */
  | "LOG_RANGE";

/** The one error class of this package. */
export class ReleaseLogError extends CodedError<ReleaseLogErrorCode> {
  /** With LOG_SIGNATURE_INVALID: the name that the log was made with, where that is what differs. */
  readonly madeAs: string | undefined;

  constructor(
    code: ReleaseLogErrorCode,
    explanation: Explanation,
    options: { readonly cause?: unknown; readonly madeAs?: string } = {},
  ) {
    super(code, explanation, options);
    this.madeAs = options.madeAs;
  }
}
