import { sleep } from "./sleep.ts";

/**
 * Runs a call, and the same call once more where the first has not ended after `afterMs`. The first success wins and the other
 * one is cancelled. A first call that fails before that time fails the whole; where both fail it is the first one's error.
 */
export async function hedged<T>(
  afterMs: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const cancel = new AbortController();
  const either = signal === undefined ? cancel.signal : AbortSignal.any([signal, cancel.signal]);
  let isHedged = false;
  const first = call(either);
  const second = sleep(afterMs, either).then(() => {
    isHedged = true;
    return call(either);
  });
  first.catch(() => {
    if (!isHedged) cancel.abort();
  });
  try {
    return await Promise.any([first, second]);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    cancel.abort();
  }
}
