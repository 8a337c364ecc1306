import { availableParallelism } from "node:os";
import type { Tensor } from "@cloister/encoding/tensor";
import { joinRows } from "../../rows.ts";
import type { RunRequest } from "../engine.ts";
import type { Lane } from "../request-queue.ts";
import { collectGarbageSoon } from "./collect-garbage.ts";
import { type LoadOptions, trustFor } from "./local-servable.ts";
import { HeldModel } from "./prepared-model.ts";
import { WorkerLane } from "./worker-lane.ts";

/** A batch that takes less is not worth the hops between threads. */
const MIN_BATCH_MS = 5;
/** Of a batch. Few rows leave what one operator makes for the next in the core's cache; many parts cost hops. */
const MAX_PARTS_OF_LANE = 8;
/** Parts in a lane at a time: one that runs, and the next. */
const IN_LANE = 2;
/** Each takes some 50 MiB beside the weights, which all share. */
const MAX_LANES = 4;

type Outputs = Map<string, Tensor>;

/**
 * A lane that computes batches row by row, together with further lanes, where the model keeps rows apart. Threads that share each
 * operator of a large batch wait for each other after every one, and pass its values from core to core.
 *
 * Single rows run on all threads of the first lane. The first batch that takes long does so too; the lane makes ready for parts after
 * it, and runs nothing else meanwhile.
 */
export class PartingLane implements Lane {
  readonly #whole: WorkerLane;
  readonly #options: LoadOptions;
  readonly #threads: number;
  readonly #minBatchMs: number;
  #lanes: readonly WorkerLane[] = [];
  #msOfRow = 0;
  #preparing: Promise<void> | undefined;
  #isClosing = false;

  /**
   * @param options of the lane `whole`
   * @param minBatchMs batches that take less run whole
   */
  constructor(whole: WorkerLane, options: LoadOptions, minBatchMs = MIN_BATCH_MS) {
    this.#whole = whole;
    this.#minBatchMs = minBatchMs;
    this.#options = options;
    this.#threads = options.threads === 0 ? availableParallelism() : options.threads;
  }

  async run(request: RunRequest): Promise<Outputs> {
    const rows = this.#rowsOf(request);
    if (rows === undefined || rows < 2) return this.#whole.run(request);
    if (this.#lanes.length > 0 && rows * this.#msOfRow >= this.#minBatchMs) return this.#runParts(request, rows);
    const startedAt = performance.now();
    const outputs = await this.#whole.run(request);
    const ms = performance.now() - startedAt;
    if (ms >= this.#minBatchMs && !this.#isClosing) {
      this.#preparing ??= this.#prepare();
      this.#msOfRow ||= ms / rows;
    }
    return outputs;
  }

  /** Rows of a request that may be parted. Others run whole, and are refused there where they have to be. */
  #rowsOf({ signature: key, inputs, outputs }: RunRequest): number | undefined {
    const { inParts, signatures } = this.#whole.loaded;
    if (this.#threads < 2 || inParts?.signature !== key) return undefined;
    const signature = signatures.get(inParts.signature);
    if (!signature) return undefined;
    // Shapes off the signature have a program of their own.
    if (inputs.size !== signature.inputs.size || trustFor(signature, inputs) !== "declared") return undefined;
    const asked = new Set(outputs);
    if (asked.size !== inParts.outputs.length || !inParts.outputs.every((alias) => asked.has(alias))) return undefined;
    const [first] = inputs.values();
    const rows = first?.shape[0];
    const isAlike = ([alias, { dtype, shape, data }]: [string, Tensor]): boolean =>
      shape[0] === rows && dtype === signature.inputs.get(alias)?.dtype && ArrayBuffer.isView(data);
    return [...inputs].every(isAlike) ? rows : undefined;
  }

  /** Lanes that compute parts, once those that were asked for are there; 0 as long as batches run whole. */
  async partLanes(): Promise<number> {
    await this.#preparing;
    return this.#lanes.length;
  }

  async #runParts(request: RunRequest, rows: number): Promise<Outputs> {
    const step = Math.ceil(rows / (this.#lanes.length * MAX_PARTS_OF_LANE));
    const results: Outputs[] = [];
    let next = 0;
    const work = async (lane: WorkerLane): Promise<void> => {
      while (next < rows) {
        const start = next;
        next += step;
        results[start / step] = await lane.run(rowsOf(request, start, Math.min(next, rows)));
      }
    };
    // In turns, so that few parts go to all threads.
    await Promise.all(
      Array.from({ length: IN_LANE }, () => this.#lanes)
        .flat()
        .map(work),
    );
    const parts = (alias: string): Tensor[] => results.flatMap((result) => result.get(alias) ?? []);
    return new Map([...(results[0]?.keys() ?? [])].map((alias) => [alias, joinRows(parts(alias))]));
  }

  async #prepare(): Promise<void> {
    const count = Math.min(this.#threads, MAX_LANES);
    const options = { ...this.#options, threads: Math.floor(this.#threads / count) };
    const prepared = await this.#whole.share();
    if (!prepared) return;
    const held = new HeldModel(prepared);
    const others: WorkerLane[] = [];
    try {
      while (others.length + 1 < count) {
        const thread = WorkerLane.startThread({ lowers: false });
        others.push(await WorkerLane.load(thread, { files: new Map(), options, prepared, keeps: false }));
      }
      this.#lanes = [this.#whole, ...others];
      collectGarbageSoon();
      // Without one of them batches run whole again.
      for (const { death } of others) void death.then(() => (this.#lanes = []));
    } catch {
      await Promise.all(others.map((lane) => lane.close()));
    } finally {
      held.release();
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#preparing;
    await Promise.all((this.#lanes.length > 0 ? this.#lanes : [this.#whole]).map((lane) => lane.close()));
  }
}

/** The rows `start` to `end` of a request, as views. */
function rowsOf({ inputs, ...request }: RunRequest, start: number, end: number): RunRequest {
  const part = ({ dtype, shape, data }: Tensor): Tensor => {
    const length = data.length / (shape[0] ?? 1);
    const rows = (data as Float32Array).subarray(start * length, end * length);
    return { dtype, shape: [end - start, ...shape.slice(1)], data: rows as Tensor["data"] };
  };
  return { ...request, inputs: new Map([...inputs].map(([alias, tensor]) => [alias, part(tensor)])) };
}
