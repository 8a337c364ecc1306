import { WorkerPool } from "@cloister/protected-files/rim";

/** Below this, starting threads takes longer than they save. */
const WORTH_THREADS_BYTES = 64 * 2 ** 20;

export interface ThreadedWork {
  readonly threads: number;
  readonly sizeBytes: number;
}

/** Gives `use` a pool of threads where there is enough work for more than one, and closes it afterwards. */
export async function withThreads<T>(
  { threads, sizeBytes }: ThreadedWork,
  use: (pool: WorkerPool | undefined) => Promise<T>,
): Promise<T> {
  if (threads < 2 || sizeBytes < WORTH_THREADS_BYTES) return use(undefined);
  await using pool = new WorkerPool(threads);
  return await use(pool);
}

/**
 * Gives `use` a signal that Ctrl-C and SIGTERM raise: the work stops with ABORTED and takes its temporary files with it, where
 * the process would otherwise end at once and leave them.
 */
export async function untilInterrupted<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const raise = (): void => {
    stop.abort();
  };
  process.once("SIGINT", raise).once("SIGTERM", raise);
  try {
    return await use(stop.signal);
  } finally {
    process.off("SIGINT", raise).off("SIGTERM", raise);
  }
}
