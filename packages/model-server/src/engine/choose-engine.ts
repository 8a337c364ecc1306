import { AutoEngine, type EngineFallback } from "./auto-engine.ts";
import type { Engine } from "./engine.ts";
import { MemoryLimitedEngine } from "./memory-limited-engine.ts";
import { OnnxEngine } from "./onnx-engine.ts";
import { findLibrary } from "./tensorflow/find-library.ts";
import { TensorFlowEngine } from "./tensorflow-engine.ts";

export const ENGINE_NAMES = ["auto", "onnx", "tensorflow"] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

export interface EngineOptions {
  /** Threads inside one operator; 0 (default) is one per core. */
  readonly threads?: number;
  /** Requests of a model that run at a time, default 1. */
  readonly lanes?: number;
  /** Requests of a model that may wait, default 256. */
  readonly maxQueue?: number;
  /** Busy waiting of ONNX Runtime's threads, default off. */
  readonly allowSpinning?: boolean;
  /** Memory for optimised graphs of models that were loaded, see `OnnxEngineOptions`. */
  readonly cacheBytes?: number;
  /** Estimated memory that all models together may take; more is refused with MEMORY_EXCEEDED. Default: no limit. */
  readonly maxMemoryBytes?: number;
  /** Tags of the graph to load, default `serve` alone. */
  readonly tags?: readonly string[];
  readonly onFallback?: (fallback: EngineFallback) => void;
}

/** A lane holds the weights natively, in the order that the processor wants, and the files that further programs are made from. */
const LANE_MEMORY = 2;

/**
 * The engine of that name. `auto` is ONNX Runtime, and TensorFlow for the models that it cannot run where TensorFlow's library
 * is installed.
 */
export function chooseEngine(name: EngineName, options: EngineOptions = {}): Engine {
  const engine = bareEngine(name, options);
  const { maxMemoryBytes, lanes = 1 } = options;
  return maxMemoryBytes === undefined ? engine : new MemoryLimitedEngine(engine, maxMemoryBytes, LANE_MEMORY * lanes);
}

function bareEngine(
  name: EngineName,
  {
    onFallback,
    allowSpinning = false,
    cacheBytes = 0,
    threads = 0,
    lanes = 1,
    maxQueue = 256,
    tags = ["serve"],
  }: EngineOptions,
): Engine {
  const common = { threads, lanes, maxQueue, tags };
  const onnx = (): Engine => new OnnxEngine({ ...common, allowSpinning, cacheBytes });
  const tensorflow = (): Engine => new TensorFlowEngine(common);
  if (name === "onnx") return onnx();
  if (name === "tensorflow") return tensorflow();
  return new AutoEngine({
    first: onnx(),
    second: tensorflow(),
    hasSecond: async () => (await findLibrary()) !== undefined,
    ...(onFallback && { onFallback }),
  });
}
