import { EnclaveError } from "../errors.ts";

const MS_PER_SECOND = 1000;
/** Half of a lease is left for brokers that are away. */
const RENEW_AFTER = 0.5;
const DEFAULT_RETRY_MS = 5000;

export interface LeaseOptions {
  readonly leaseSeconds: number;
  /** Is admitted again. Resolves with the next lease, or null where there is none any more. */
  readonly renew: (signal: AbortSignal) => Promise<number | null>;
  /** The lease is over: nothing may be served from now on. Called once. */
  readonly onLost: (error: EnclaveError) => void;
  readonly retryMs?: number;
}

/**
 * Renews a lease from the middle of it on, and says when it is over. Time is measured from when the lease was given. The
 * host can slow the clock of its enclaves: against such a host the life of the serving certificate holds, not this. A renewal that fails is tried again until the
 * end, except where the model's generation was revoked. Returns the function that ends the watch.
 */
export function keepLease(options: LeaseOptions): () => void {
  const { renew, onLost, retryMs = DEFAULT_RETRY_MS } = options;
  let attempt: NodeJS.Timeout | undefined;
  let end: NodeJS.Timeout | undefined;
  let abort = new AbortController();
  const stop = (): void => {
    clearTimeout(attempt);
    clearTimeout(end);
    abort.abort();
  };
  const lose = (cause: unknown): void => {
    if (abort.signal.aborted) return;
    stop();
    onLost(isRevoked(cause) ? cause : leaseLost(cause));
  };
  const begin = (seconds: number): void => {
    let last: unknown;
    abort = new AbortController();
    const { signal } = abort;
    const tryToRenew = async (): Promise<void> => {
      try {
        const next = await renew(signal);
        if (signal.aborted) return;
        stop();
        if (next !== null) begin(next);
      } catch (error) {
        if (signal.aborted) return;
        last = error;
        if (isRevoked(error)) lose(error);
        else attempt = setTimeout(() => void tryToRenew(), retryMs);
      }
    };
    end = setTimeout(() => lose(last), seconds * MS_PER_SECOND);
    attempt = setTimeout(() => void tryToRenew(), seconds * MS_PER_SECOND * RENEW_AFTER);
  };
  begin(options.leaseSeconds);
  return stop;
}

const isRevoked = (error: unknown): error is EnclaveError =>
  error instanceof EnclaveError && error.code === "GENERATION_REVOKED";

function leaseLost(cause: unknown): EnclaveError {
  return new EnclaveError(
    "LEASE_ENDED",
    {
      what: "the replica stopped serving",
      why: "its lease ended, and no broker renewed it",
      remedy: "look at the broker's log for refusals; a new start is admitted anew",
    },
    { cause },
  );
}
