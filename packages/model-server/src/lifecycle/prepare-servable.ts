import type { ModelFiles } from "@cloister/saved-model";
import type { Engine, Servable } from "../engine/engine.ts";
import type { ServingMetrics } from "../metrics/serving-metrics.ts";
import { warmUp } from "./warmup.ts";

export interface WarmupOptions {
  readonly isEnabled: boolean;
  /** How often each record is sent; 0 counts as 1. */
  readonly iterations: number;
}

export const DEFAULT_WARMUP: WarmupOptions = { isEnabled: true, iterations: 0 };

/** Loads files and sends the warm-up requests. All or nothing: where warm-up fails the model is closed and the error thrown. */
export async function prepareServable(
  engine: Engine,
  files: ModelFiles,
  path: string,
  warmup: WarmupOptions,
  metrics: ServingMetrics,
): Promise<Servable> {
  const servable = await timedLoad(engine, files, path, metrics);
  if (!warmup.isEnabled) return servable;
  const startedAt = performance.now();
  const took = (status: string): void =>
    metrics.warmupLatency.at(path, status).observe((performance.now() - startedAt) * 1000);
  try {
    const records = await warmUp(servable, files, warmup.iterations);
    if (records > 0) {
      metrics.warmupRecords.at(path).add(records);
      took("OK");
    }
    return servable;
  } catch (error) {
    took("FAILED");
    await servable.close();
    throw error;
  }
}

async function timedLoad(engine: Engine, files: ModelFiles, path: string, metrics: ServingMetrics): Promise<Servable> {
  const startedAt = performance.now();
  try {
    const servable = await engine.load(files);
    metrics.loads.at(path, "success").add(1);
    return servable;
  } catch (error) {
    metrics.loads.at(path, "fail").add(1);
    throw error;
  } finally {
    metrics.loadLatency.at(path).add((performance.now() - startedAt) * 1000);
  }
}
