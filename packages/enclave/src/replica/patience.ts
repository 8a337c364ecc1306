import { setTimeout as sleep } from "node:timers/promises";
import { BrokerError } from "@cloister/broker/client";
import { type CodedError, isCodedError } from "@cloister/encoding";

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;
/** What passes on its own: a broker or a quoting service that is not up yet. A refusal is an answer and is final. */
const PASSING: ReadonlySet<string> = new Set([
  "BROKER_UNREACHABLE",
  "BROKER_HANDSHAKE_FAILED",
  "PROVISIONING_TIMEOUT",
  "CONNECTION_LOST",
  "PLATFORM_QUOTE_FAILED",
]);

/** Refusals that say nothing about the enclave, only about the state the broker is in. */
const PASSING_REFUSALS: ReadonlySet<string> = new Set([
  "BROKER_BUSY",
  "COLLATERAL_UNAVAILABLE",
  // The broker gets fresh collateral sooner or later; that a platform's own certificate expired is final.
  "COLLATERAL_EXPIRED",
  "ROOT_CRL_EXPIRED",
  "PCK_CRL_EXPIRED",
  "PCK_CRL_CHAIN_EXPIRED",
  "TCB_INFO_EXPIRED",
  "TCB_INFO_CHAIN_EXPIRED",
  "QE_IDENTITY_EXPIRED",
  "QE_IDENTITY_CHAIN_EXPIRED",
  "KEY_UNAVAILABLE",
  "BUNDLE_UNAVAILABLE",
  "LOG_UNAVAILABLE",
  "POLICY_CHANGED",
]);

export interface PatienceOptions {
  /** For how long to try again; 0: try once. */
  readonly waitMs: number;
  readonly onRetry: (code: string, pauseMs: number) => void;
  /** Ends the waiting; the last error is thrown then. */
  readonly signal?: AbortSignal;
  /** In [0, 1), default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Does `work` until it succeeds, fails for good, or the time is over. Pauses double up to 10 s, each shortened by chance to
 * between half and all of it, so that many replicas do not come back at once. Throws the last error.
 */
export async function withPatience<T>(work: () => Promise<T>, options: PatienceOptions): Promise<T> {
  const { waitMs, onRetry, signal, random = Math.random } = options;
  const end = performance.now() + waitMs;
  for (let longest = FIRST_PAUSE_MS; ; longest = Math.min(longest * 2, MAX_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      const pauseMs = Math.round((longest * (1 + random())) / 2);
      if (!isPassing(error) || isAborted(signal) || performance.now() + pauseMs > end) throw error;
      onRetry(error.code, pauseMs);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      if (isAborted(signal)) throw error;
    }
  }
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

function isPassing(error: unknown): error is CodedError {
  if (!isCodedError(error)) return false;
  if (!(error instanceof BrokerError) || error.code !== "PROVISIONING_REFUSED") return PASSING.has(error.code);
  return error.refusedFor.length > 0 && error.refusedFor.every((code) => PASSING_REFUSALS.has(code));
}
