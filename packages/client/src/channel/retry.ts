import { callFailed, ClientError } from "../errors.ts";
import { hedged } from "./hedge.ts";
import { sleep } from "./sleep.ts";

/** How a call is repeated. */
export interface RepeatOptions {
  readonly deadlineMs?: number | undefined;
  readonly retries?: number | undefined;
  readonly hedgeAfterMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One try of a call. `endsAt`: by `performance.now()`. */
export type Attempt<T> = (endsAt: number | undefined, signal: AbortSignal | undefined) => Promise<T>;

const RETRYABLE: ReadonlySet<string> = new Set(["UNAVAILABLE", "CLOSED_AFTER_HANDSHAKE"]);
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 1000;

/** Runs attempts until one succeeds or fails for good: retries with backoff under one deadline, and hedged where it is wished. */
export function repeated<T>(options: RepeatOptions, attempt: Attempt<T>): Promise<T> {
  const { hedgeAfterMs, signal } = options;
  if (hedgeAfterMs === undefined) return withRetries(options, signal, attempt);
  return hedged(hedgeAfterMs, signal, (either) => withRetries(options, either, attempt));
}

async function withRetries<T>(
  { deadlineMs, retries = 0 }: RepeatOptions,
  signal: AbortSignal | undefined,
  attempt: Attempt<T>,
): Promise<T> {
  const endsAt = deadlineMs === undefined ? undefined : performance.now() + deadlineMs;
  for (let count = 0; ; count++) {
    try {
      return await attempt(endsAt, signal);
    } catch (error) {
      if (!isRetryable(error) || count >= retries) throw error;
      await backOff(count, endsAt, signal);
    }
  }
}

/** Nothing was sent to a replica that was refused, and behind a gateway the next connection may lead to another one. */
export function isRetryable(error: unknown): boolean {
  return error instanceof ClientError && (error.isReplicaRefused || RETRYABLE.has(error.code));
}

export function remaining(endsAt: number | undefined): number | undefined {
  if (endsAt === undefined) return undefined;
  const leftMs = endsAt - performance.now();
  if (leftMs <= 0) throw callFailed("DEADLINE_EXCEEDED", "Deadline Exceeded");
  return leftMs;
}

/** Exponential, with jitter so that clients of a lost server do not come back in step. */
async function backOff(attempt: number, endsAt: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  const ceilingMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
  const delayMs = ceilingMs * (0.5 + Math.random() / 2);
  const leftMs = remaining(endsAt);
  try {
    await sleep(Math.min(delayMs, leftMs ?? delayMs), signal);
  } catch (cause) {
    throw callFailed("CANCELLED", "the call was cancelled", { cause });
  }
}
