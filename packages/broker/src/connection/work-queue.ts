/**
 * Bounds how much work is under way and how much waits. First come, first served. Returns undefined instead of a promise when the
 * queue is full: the caller refuses at once, and memory stays bounded.
 */
export class WorkQueue {
  readonly #concurrency: number;
  readonly #capacity: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(concurrency: number, capacity: number) {
    this.#concurrency = concurrency;
    this.#capacity = capacity;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Work that nobody waits for any more (`gone`) gives up its place and never begins; rejects with the signal's reason. */
  run<T>(work: () => Promise<T>, gone?: AbortSignal): Promise<T> | undefined {
    if (this.#running >= this.#concurrency && this.#waiting.size >= this.#capacity) return undefined;
    return this.#start(work, gone);
  }

  async #start<T>(work: () => Promise<T>, gone: AbortSignal | undefined): Promise<T> {
    gone?.throwIfAborted();
    // The one that finishes hands its place over, so the count stays.
    if (this.#running >= this.#concurrency) await this.#turn(gone);
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(gone: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(begin);
        reject(gone?.reason as Error);
      };
      const begin = (): void => {
        this.#waiting.delete(begin);
        gone?.removeEventListener("abort", leave);
        resolve();
      };
      gone?.addEventListener("abort", leave, { once: true });
      this.#waiting.add(begin);
    });
  }
}
