/**
 * Bounds how much work is under way and how much waits. Returns undefined instead of a promise when the queue is full: the
 * caller refuses at once, and memory stays bounded.
 */
export class WorkQueue {
  readonly #concurrency: number;
  readonly #capacity: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(concurrency: number, capacity: number) {
    this.#concurrency = concurrency;
    this.#capacity = capacity;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  run<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#running >= this.#concurrency && this.#waiting.length >= this.#capacity) return undefined;
    return this.#start(work);
  }

  async #start<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#concurrency) {
      // The one that finishes hands its place over, so the count stays.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
