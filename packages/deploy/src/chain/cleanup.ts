type Task = () => Promise<void> | void;

/** What has to be undone, in reverse order. A failing task does not keep the rest from running; its error comes last. */
export class Cleanup {
  readonly #tasks: Task[] = [];
  #done: Promise<void> | undefined;

  /** After the run a task is carried out at once: what came up too late goes down too. */
  add(task: Task): void {
    if (this.#done === undefined) this.#tasks.push(task);
    else this.#done = this.#done.then(task);
  }

  /** Runs every task once, the latest first; further calls wait for the same run. */
  run(): Promise<void> {
    this.#done ??= this.#runAll();
    return this.#done;
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const task of this.#tasks.reverse()) {
      try {
        await task();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "clean-up failed");
  }
}
