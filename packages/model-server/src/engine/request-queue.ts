import type { Tensor } from "@cloister/encoding/tensor";
import type { RunRequest } from "./engine.ts";
import { cancelled, closed, engineError } from "./failure.ts";

type Outputs = Map<string, Tensor>;

/** Something that runs requests, for example a thread. */
export interface Lane {
  run(request: RunRequest): Promise<Outputs>;
}

interface Job {
  readonly request: RunRequest;
  readonly resolve: (outputs: Outputs) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
}

/** A bounded queue in front of the lanes of a model. Requests start in the order of their arrival, on the emptiest lane. */
export class RequestQueue {
  readonly #lanes: ReadonlyMap<Lane, Set<Job>>;
  readonly #perLane: number;
  readonly #maxWaiting: number;
  readonly #waiting = new Set<Job>();
  #ended: Error | undefined;
  #onIdle: (() => void) | undefined;

  /**
   * @param perLane requests that are in a lane at a time
   * @param maxWaiting requests that wait for a lane; more are refused with QUEUE_FULL
   */
  constructor(lanes: readonly Lane[], perLane: number, maxWaiting: number) {
    this.#lanes = new Map(lanes.map((lane) => [lane, new Set()]));
    this.#perLane = perLane;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws EngineError QUEUE_FULL, CANCELLED, CLOSED, or what the lane throws */
  run(request: RunRequest): Promise<Outputs> {
    const refusal = this.#refusal(request.signal);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      // A request in a lane runs to its end; its answer finds nobody waiting.
      const onAbort = (): void => {
        this.#waiting.delete(job);
        reject(cancelled());
      };
      const job: Job = { request, resolve, reject, onAbort };
      request.signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(job);
      this.#pump();
    });
  }

  #refusal(signal: AbortSignal | undefined): Error | undefined {
    if (this.#ended) return this.#ended;
    if (signal?.aborted) return cancelled();
    if (this.#waiting.size < this.#maxWaiting) return undefined;
    return engineError(
      "QUEUE_FULL",
      "too many requests wait for this model",
      `the limit is ${this.#maxWaiting}`,
      "try again later",
    );
  }

  #pump(): void {
    for (const job of this.#waiting) {
      const [lane, running] = this.#emptiest();
      if (running.size >= this.#perLane) return;
      this.#waiting.delete(job);
      running.add(job);
      void this.#start(lane, running, job);
    }
  }

  #emptiest(): [Lane, Set<Job>] {
    return [...this.#lanes].reduce((best, each) => (each[1].size < best[1].size ? each : best));
  }

  async #start(lane: Lane, running: Set<Job>, job: Job): Promise<void> {
    try {
      job.resolve(await lane.run(job.request));
    } catch (error) {
      job.reject(error);
    } finally {
      job.request.signal?.removeEventListener("abort", job.onAbort);
      running.delete(job);
      this.#pump();
      if (this.#isIdle) this.#onIdle?.();
    }
  }

  get #isIdle(): boolean {
    return [...this.#lanes.values()].every(({ size }) => size === 0);
  }

  /** Refuses what waits and what is to come, with `error`. */
  end(error: Error): void {
    this.#ended ??= error;
    for (const job of this.#waiting) job.reject(this.#ended);
    this.#waiting.clear();
  }

  /** Refuses what waits, and waits for what runs. */
  async close(): Promise<void> {
    this.end(closed());
    if (!this.#isIdle) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }
}
