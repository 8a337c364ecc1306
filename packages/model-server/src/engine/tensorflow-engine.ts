import type { ModelFiles } from "@cloister/saved-model";
import type { Engine, Servable } from "./engine.ts";
import { loadCApi } from "./tensorflow/c-api.ts";
import { requireLibrary } from "./tensorflow/find-library.ts";
import { type TensorFlowOptions, TensorFlowServable } from "./tensorflow/servable.ts";

export interface TensorFlowEngineOptions extends Partial<TensorFlowOptions> {
  /** The folder that holds TensorFlow's library; default: where `findLibrary` finds it. */
  readonly library?: string;
}

/**
 * Runs SavedModels on TensorFlow itself, through its C library: every op, at the price of its memory and its time to load. The
 * model is handed over in memory; nothing is written to disk.
 */
export class TensorFlowEngine implements Engine {
  readonly name = "tensorflow";
  readonly #options: TensorFlowOptions;
  readonly #library: string | undefined;

  constructor({ library, ...options }: TensorFlowEngineOptions = {}) {
    this.#library = library;
    this.#options = { threads: 0, lanes: 1, maxQueue: 256, tags: ["serve"], ...options };
  }

  /** @throws EngineError ENGINE_MISSING, LOAD_FAILED; SavedModelError */
  async load(files: ModelFiles): Promise<Servable> {
    const api = await loadCApi(this.#library ?? (await requireLibrary()));
    return TensorFlowServable.load(api, files, this.#options);
  }
}
