import type { Tensor } from "@cloister/encoding/tensor";
import type { RunRequest, Servable, SignatureInfo } from "../engine/engine.ts";
import { callError, isLate, type ModelServerError } from "../errors.ts";
import type { ServingMetrics } from "../metrics/serving-metrics.ts";
import type { BatchingOptions } from "./batching-parameters.ts";
import { currentSpan, type Span } from "../tracing/span.ts";
import { joinRows, paddedAlike, sliceRows } from "../rows.ts";

interface Task {
  readonly request: RunRequest;
  readonly rows: number;
  readonly enqueuedAt: number;
  /** Its time in the queue, where the request is traced. */
  readonly waiting: Span | undefined;
  readonly resolve: (outputs: Map<string, Tensor>) => void;
  readonly reject: (error: unknown) => void;
}

interface Queue {
  readonly tasks: Task[];
  rows: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Puts requests of one signature, output filter, dtypes and shape into batches (TensorFlow Serving's batching_session.cc). There the
 * shape is not part of the key, and one odd request fails all that share its batch. With padding the rank stands for the shape.
 */
export class BatchingServable implements Servable {
  readonly signatures: ReadonlyMap<string, SignatureInfo>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly initOp: string | undefined;
  readonly #inner: Servable;
  readonly #options: BatchingOptions;
  readonly #metrics: ServingMetrics;
  readonly #model: string;
  /** Queues with waiting tasks, in the order in which they are served next. */
  readonly #queues = new Map<string, Queue>();
  #running = 0;
  #isScheduled = false;

  constructor(inner: Servable, model: string, options: BatchingOptions, metrics: ServingMetrics) {
    this.#inner = inner;
    this.#model = model;
    this.#options = options;
    this.#metrics = metrics;
    this.signatures = inner.signatures;
    this.unsupported = inner.unsupported;
    this.initOp = inner.initOp;
  }

  async run(request: RunRequest): Promise<Map<string, Tensor>> {
    const rows = rowsOf(request.inputs);
    const { maxBatchSize, splitsLarge } = this.#options;
    if (rows <= maxBatchSize) return this.#enqueue(request, rows);
    if (!splitsLarge) {
      throw callError("INVALID_ARGUMENT", `Task size ${rows} is larger than maximum batch size ${maxBatchSize}`);
    }
    return joinOutputs(await Promise.all(this.#parts(request, rows)));
  }

  close(): Promise<void> {
    for (const { tasks, timer } of this.#queues.values()) {
      clearTimeout(timer);
      for (const { reject } of tasks) reject(callError("UNAVAILABLE", "The model version is being unloaded."));
    }
    this.#queues.clear();
    return this.#inner.close();
  }

  #parts(request: RunRequest, rows: number): Promise<Map<string, Tensor>>[] {
    const { maxBatchSize } = this.#options;
    return Array.from({ length: Math.ceil(rows / maxBatchSize) }, (_, index) => {
      const start = index * maxBatchSize;
      const end = Math.min(rows, start + maxBatchSize);
      const inputs = new Map([...request.inputs].map(([alias, one]) => [alias, sliceRows(one, start, end)]));
      return this.#enqueue({ ...request, inputs }, end - start);
    });
  }

  async #enqueue(request: RunRequest, rows: number): Promise<Map<string, Tensor>> {
    const { maxBatchSize, maxEnqueuedBatches, timeoutMs } = this.#options;
    const key = keyOf(request, this.#options.padsInputs);
    const queue = this.#queues.get(key) ?? { tasks: [], rows: 0, timer: undefined };
    if (queue.rows + rows > maxBatchSize * maxEnqueuedBatches) {
      throw callError("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full");
    }
    this.#queues.set(key, queue);
    const waiting = currentSpan()?.child("batch.wait");
    const result = new Promise<Map<string, Tensor>>((resolve, reject) => {
      queue.tasks.push({ request, rows, enqueuedAt: performance.now(), waiting, resolve, reject });
    });
    queue.rows += rows;
    if (queue.rows >= maxBatchSize) this.#schedule();
    else if (timeoutMs === 0) this.#scheduleSoon();
    else queue.timer ??= setTimeout(() => this.#schedule(), timeoutMs);
    return result;
  }

  /** Requests that come in the same turn of the event loop share a batch. */
  #scheduleSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#schedule();
    });
  }

  /** Starts batches that are due while threads are free, one queue after the other. */
  #schedule(): void {
    for (const [key, queue] of this.#queues) {
      while (this.#running < this.#options.threads && this.#isDue(queue)) this.#start(this.#take(queue));
      if (queue.tasks.length === 0) this.#forget(key, queue);
      else if (this.#running >= this.#options.threads) {
        // The next free thread begins with the queues behind this one.
        this.#queues.delete(key);
        this.#queues.set(key, queue);
        return;
      } else this.#rearm(queue);
    }
  }

  #isDue({ tasks, rows }: Queue): boolean {
    const [oldest] = tasks;
    if (oldest === undefined) return false;
    // Timers fire up to a millisecond early.
    const waitedMs = performance.now() - oldest.enqueuedAt + 1;
    return rows >= this.#options.maxBatchSize || waitedMs >= this.#options.timeoutMs;
  }

  #rearm(queue: Queue): void {
    clearTimeout(queue.timer);
    const waitedMs = performance.now() - (queue.tasks[0]?.enqueuedAt ?? 0);
    queue.timer = setTimeout(() => this.#schedule(), Math.max(0, this.#options.timeoutMs - waitedMs));
  }

  #forget(key: string, queue: Queue): void {
    clearTimeout(queue.timer);
    this.#queues.delete(key);
  }

  /** The tasks of the next batch; what was cancelled meanwhile or whose deadline has passed is left out. */
  #take(queue: Queue): Task[] {
    const batch: Task[] = [];
    let rows = 0;
    for (let task = queue.tasks[0]; task !== undefined; task = queue.tasks[0]) {
      if (rows + task.rows > this.#options.maxBatchSize) break;
      queue.tasks.shift();
      queue.rows -= task.rows;
      if (task.request.signal?.aborted === true) {
        const error = leftOut(task.request.signal);
        task.waiting?.end(error.code);
        task.reject(error);
        continue;
      }
      rows += task.rows;
      batch.push(task);
    }
    return batch;
  }

  #start(batch: readonly Task[]): void {
    if (batch.length === 0) return;
    this.#running++;
    this.#runBatch(batch)
      .catch((error: unknown) => {
        for (const { reject } of batch) reject(error);
      })
      .finally(() => {
        this.#running--;
        this.#schedule();
      });
  }

  async #runBatch(batch: readonly Task[]): Promise<void> {
    const now = performance.now();
    const rows = batch.reduce((sum, task) => sum + task.rows, 0);
    const queuing = this.#metrics.batchQueuing.at(this.#options.poolName);
    for (const { enqueuedAt, waiting } of batch) {
      queuing.observe((now - enqueuedAt) * 1000);
      waiting?.end();
    }
    this.#metrics.batchRuns.at().add(1);
    this.#metrics.batchSize.at(this.#model).observe(rows);
    const padded = this.#options.allowedSizes.find((size) => size >= rows) ?? rows;
    const outputs = await this.#inner.run(requestOf(batch, padded - rows));
    for (const [alias, { shape }] of outputs) {
      if (shape[0] === padded) continue;
      throw callError(
        "FAILED_PRECONDITION",
        `Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors: ${alias}`,
      );
    }
    let start = 0;
    for (const { rows: own, resolve } of batch) {
      const end = start + own;
      const from = start;
      resolve(
        own === padded ? outputs : new Map([...outputs].map(([alias, one]) => [alias, sliceRows(one, from, end)])),
      );
      start = end;
    }
  }
}

/** TensorFlow Serving answers so when no task of a batch has time left. Others it runs, though nobody waits for the answer. */
function leftOut(signal: AbortSignal): ModelServerError {
  return isLate(signal)
    ? callError("RESOURCE_EXHAUSTED", "Run() timeout exceeded while waiting in batching queue")
    : callError("CANCELLED", "The request was cancelled while it waited.");
}

/** Rows of a request: the first dimension of each input. Throws INVALID_ARGUMENT. */
function rowsOf(inputs: ReadonlyMap<string, Tensor>): number {
  let rows: number | undefined;
  for (const { shape } of inputs.values()) {
    const [size] = shape;
    if (size === undefined) {
      throw callError("INVALID_ARGUMENT", "Batching Run() input tensors must have at least one dimension");
    }
    if ((rows ??= size) !== size) {
      throw callError("INVALID_ARGUMENT", "Batching Run() input tensors must have equal 0th-dimension size");
    }
  }
  if (rows === undefined || rows === 0)
    throw callError("INVALID_ARGUMENT", "Batching Run() must have at least one row");
  return rows;
}

function keyOf({ signature, outputs, inputs }: RunRequest, padsInputs: boolean): string {
  const shapes = [...inputs].map(([alias, { dtype, shape }]) => [
    alias,
    dtype,
    padsInputs ? shape.length : shape.slice(1),
  ]);
  return JSON.stringify([signature, outputs.toSorted(), shapes]);
}

/** One request for all tasks. Missing rows repeat the first row of the last task. */
function requestOf(batch: readonly Task[], missing: number): RunRequest {
  const [first] = batch;
  const last = batch.at(-1);
  if (first === undefined || last === undefined) throw new TypeError("an empty batch");
  const { signature, outputs } = first.request;
  if (batch.length === 1 && missing === 0) return { signature, outputs, inputs: first.request.inputs };
  const inputs = new Map<string, Tensor>();
  for (const alias of first.request.inputs.keys()) {
    const parts = batch.flatMap(({ request }) => request.inputs.get(alias) ?? []);
    const filler = last.request.inputs.get(alias);
    if (filler !== undefined) for (let row = 0; row < missing; row++) parts.push(sliceRows(filler, 0, 1));
    inputs.set(alias, joinRows(paddedAlike(parts)));
  }
  return { signature, outputs, inputs };
}

function joinOutputs(parts: readonly Map<string, Tensor>[]): Map<string, Tensor> {
  const aliases = [...(parts[0]?.keys() ?? [])];
  return new Map(aliases.map((alias) => [alias, joinRows(parts.flatMap((part) => part.get(alias) ?? []))]));
}
