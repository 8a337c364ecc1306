import { isCodedError } from "@cloister/encoding";
import type { ModelFiles } from "@cloister/saved-model";
import type { Engine, Servable } from "./engine.ts";

/** The first engine could not run the whole of a model, so that the second one runs it. */
export interface EngineFallback {
  readonly from: string;
  readonly to: string;
  /** What stood in the way: missing ops with their nodes, or the code of a refusal. */
  readonly reason: string;
}

export interface AutoEngineOptions {
  readonly first: Engine;
  readonly second: Engine;
  /** Whether the second engine is installed; asked when it is needed. */
  readonly hasSecond: () => Promise<boolean>;
  readonly onFallback?: (fallback: EngineFallback) => void;
}

/** The codes with which the first engine says that a model is more than it can do. Broken models are broken for every engine. */
const BEYOND_THE_FIRST = new Set(["UNSUPPORTED_OPS", "LOAD_FAILED"]);

/**
 * Loads a model on the first engine, or, where that lacks ops for any of its signatures and the second is installed, on the
 * second. A model is on one engine as a whole: its signatures may share variables.
 */
export class AutoEngine implements Engine {
  readonly name = "auto";
  readonly #options: AutoEngineOptions;

  constructor(options: AutoEngineOptions) {
    this.#options = options;
  }

  prepare(): void {
    this.#options.first.prepare?.();
  }

  async load(files: ModelFiles): Promise<Servable> {
    const { first, second, hasSecond, onFallback } = this.#options;
    const attempt = await attemptLoad(first, files);
    if (attempt.reason === undefined || !(await hasSecond())) {
      if (attempt.servable) return attempt.servable;
      throw attempt.error;
    }
    await attempt.servable?.close();
    const servable = await second.load(files);
    onFallback?.({ from: first.name, to: second.name, reason: attempt.reason });
    return servable;
  }
}

interface Attempt {
  readonly servable?: Servable;
  readonly error?: unknown;
  /** Why the other engine is wanted; absent where it is not. */
  readonly reason?: string;
}

async function attemptLoad(engine: Engine, files: ModelFiles): Promise<Attempt> {
  try {
    const servable = await engine.load(files);
    if (servable.unsupported.size === 0) return { servable };
    const reasons = [...servable.unsupported].map(([key, reason]) => `${key}: ${reason}`);
    return { servable, reason: reasons.join("; ") };
  } catch (error) {
    if (!isCodedError(error) || !BEYOND_THE_FIRST.has(error.code)) return { error };
    return { error, reason: error.explanation.why };
  }
}
