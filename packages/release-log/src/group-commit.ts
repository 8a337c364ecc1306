/** One thing to commit, and who waits for it. */
export interface Pending<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers what arrives together or while a commit is under way, so that many items share one commit (one write and fsync, one
 * transaction). One commit at a time; order is kept.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (batch: readonly Pending<Item, Result>[]) => Promise<void>;
  readonly #maxBatch: number;
  #queue: Pending<Item, Result>[] = [];
  #running: Promise<void> | undefined;

  /** `commit` settles each item of its batch; what it leaves unsettled is rejected with the error it throws. */
  constructor(commit: (batch: readonly Pending<Item, Result>[]) => Promise<void>, maxBatch: number) {
    this.#commit = commit;
    this.#maxBatch = maxBatch;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is left to commit. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // One turn of the event loop gathers what arrives together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, this.#maxBatch);
      try {
        await this.#commit(batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = undefined;
  }
}
