import { AutoEngine, type EngineFallback } from "./auto-engine.ts";
import type { Engine } from "./engine.ts";
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
  readonly onFallback?: (fallback: EngineFallback) => void;
}

/**
 * The engine of that name. `auto` is ONNX Runtime, and TensorFlow for the models that it cannot run where TensorFlow's library
 * is installed.
 */
export function chooseEngine(name: EngineName, { onFallback, allowSpinning, ...common }: EngineOptions = {}): Engine {
  const onnx = (): Engine => new OnnxEngine({ ...common, ...(allowSpinning !== undefined && { allowSpinning }) });
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
