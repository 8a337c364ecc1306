import type { ModelFiles } from "@cloister/saved-model";
import type { Engine, Servable } from "./engine.ts";
import { engineError } from "./failure.ts";

/**
 * Keeps the models of an engine within a limit of memory, by their estimates: a model that would not fit is refused before it is loaded,
 * instead of ending the process. An enclave's memory cannot grow.
 */
export class MemoryLimitedEngine implements Engine {
  readonly name: string;
  readonly #engine: Engine;
  readonly #maxBytes: number;
  readonly #factor: number;
  #usedBytes = 0;

  /** @param factor memory that a loaded model takes for each byte of its files */
  constructor(engine: Engine, maxBytes: number, factor: number) {
    this.name = engine.name;
    this.#engine = engine;
    this.#maxBytes = maxBytes;
    this.#factor = factor;
  }

  /** Estimated memory of the models that are loaded or being loaded. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  prepare(): void {
    this.#engine.prepare?.();
  }

  /** @throws EngineError MEMORY_EXCEEDED, and what the engine throws */
  async load(files: ModelFiles): Promise<Servable> {
    const fileBytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    const bytes = fileBytes * this.#factor;
    if (this.#usedBytes + bytes > this.#maxBytes) throw exceeded(bytes, this.#maxBytes - this.#usedBytes);
    this.#usedBytes += bytes;
    let isHeld = true;
    const release = (): void => {
      if (isHeld) this.#usedBytes -= bytes;
      isHeld = false;
    };
    try {
      const servable = await this.#engine.load(files);
      return {
        signatures: servable.signatures,
        unsupported: servable.unsupported,
        initOp: servable.initOp,
        run: (request) => servable.run(request),
        close: () => servable.close().finally(release),
      };
    } catch (error) {
      release();
      throw error;
    }
  }
}

function exceeded(bytes: number, free: number): Error {
  const mebibytes = (count: number): string => `${Math.ceil(count / 2 ** 20)} MiB`;
  return engineError(
    "MEMORY_EXCEEDED",
    "the model does not fit into the memory for models",
    `it needs about ${mebibytes(bytes)}, ${mebibytes(free)} are left`,
    "unload a version first, or raise the limit",
  );
}
