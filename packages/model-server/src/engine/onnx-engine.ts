import "./onnx/no-telemetry.ts";
import type { ModelFiles } from "@cloister/saved-model";
import type { Engine, Servable } from "./engine.ts";
import { collectGarbageSoon } from "./onnx/collect-garbage.ts";
import { loadModel } from "./onnx/load-model.ts";
import { PreparedModels } from "./onnx/prepared-model.ts";
import { type LaneThread, WorkerLane } from "./onnx/worker-lane.ts";
import { WorkerServable } from "./onnx/worker-servable.ts";

export interface OnnxEngineOptions {
  /** Threads inside one operator; 0 (default) is one per core. */
  readonly threads?: number;
  /** Busy waiting of those threads, default off. */
  readonly allowSpinning?: boolean;
  /** Threads that each hold a copy of the model and run a request at a time, default 1. */
  readonly lanes?: number;
  /** Requests of a model that may wait, default 256; more are refused with QUEUE_FULL. */
  readonly maxQueue?: number;
  /**
   * Memory for optimised graphs of models that were loaded, default 0. A model that is loaded again is there in a fraction of the time.
   * They are as large as the weights, and as secret; they never leave the process.
   */
  readonly cacheBytes?: number;
  /**
   * Where models run: in a worker thread each, in the caller's thread (which the native call blocks), or by size (default):
   * very small models inline, since the hop to a thread costs more than they do.
   */
  readonly execution?: "auto" | "inline" | "worker";
  /** Tags of the graph to load, default `serve` alone. */
  readonly tags?: readonly string[];
}

/** Models up to this size run inline under `auto`: with so few weights a request takes microseconds. */
const MAX_INLINE_BYTES = 64 * 1024;

/** From this size on it is worth a pause of some milliseconds to have the memory of a model's files back at once. */
const MIN_COLLECTED_BYTES = 8 * 2 ** 20;

/** Runs SavedModels on ONNX Runtime's CPU kernels. They are lowered to ONNX in memory; nothing is written to disk. */
export class OnnxEngine implements Engine {
  readonly name = "onnx";
  readonly #options: Required<Omit<OnnxEngineOptions, "cacheBytes">>;
  readonly #cache: PreparedModels;
  #thread: LaneThread | undefined;

  constructor({ cacheBytes = 0, ...options }: OnnxEngineOptions = {}) {
    this.#cache = new PreparedModels(cacheBytes);
    const defaults = { threads: 0, allowSpinning: false, lanes: 1, maxQueue: 256, tags: ["serve"] };
    this.#options = { ...defaults, execution: "auto", ...options };
  }

  prepare(): void {
    if (this.#options.execution !== "inline") this.#thread ??= this.#startThread();
  }

  async load(files: ModelFiles): Promise<Servable> {
    const { execution, lanes, maxQueue, threads, allowSpinning, tags } = this.#options;
    const bytes = [...files.values()].reduce((sum, file) => sum + file.length, 0);
    const isInline = execution === "inline" || (execution === "auto" && bytes <= MAX_INLINE_BYTES);
    const ready = this.#thread;
    this.#thread = undefined;
    if (isInline) {
      await ready?.worker.terminate();
      return loadModel(files, { threads: 1, allowSpinning, tags });
    }
    const thread = ready ?? this.#startThread();
    const options = { threads, allowSpinning, tags, lanes, maxQueue };
    const servable = await WorkerServable.load(files, options, this.#cache, thread);
    // The caller has little use for the files now, and this thread none.
    if (bytes >= MIN_COLLECTED_BYTES) collectGarbageSoon();
    return servable;
  }

  #startThread(): LaneThread {
    return WorkerLane.startThread({ lowers: this.#cache.isEmpty });
  }
}
