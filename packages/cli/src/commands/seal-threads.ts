import { WorkerPool } from "@cloister/protected-files/rim";

/** Below this, starting threads takes longer than they save. */
const WORTH_THREADS_BYTES = 64 * 2 ** 20;

/** Gives `use` a pool of threads where there is enough work for more than one, and closes it afterwards. */
export async function withThreads<T>(
  { threads, sizeBytes }: { readonly threads: number; readonly sizeBytes: number },
  use: (pool: WorkerPool | undefined) => Promise<T>,
): Promise<T> {
  if (threads < 2 || sizeBytes < WORTH_THREADS_BYTES) return use(undefined);
  await using pool = new WorkerPool(threads);
  return await use(pool);
}
