import type { ModelFiles } from "@cloister/saved-model";
import type { Servable } from "../engine/engine.ts";
import type { ServingMetrics } from "../metrics/serving-metrics.ts";
import { type BatchingVerdict, measureBatching } from "./auto-batching.ts";
import { type BatchingOptions, defaultBatching, readBatchingParameters } from "./batching-parameters.ts";
import { BatchingServable } from "./batching-servable.ts";

/** How the server puts requests together. */
export interface BatchingChoice {
  /** For every model; "auto": as each model's measurement at its load says. */
  readonly parameters: BatchingOptions | "auto";
  /** A `batching_params.pbtxt` in a version's folder counts more than `parameters`. */
  readonly isPerModel?: boolean;
}

const PER_MODEL_FILE = "batching_params.pbtxt";
/** One batch runs, and the next waits in the engine's thread. */
const AUTO_BATCHES = 2;
const AUTO_ENQUEUED_ROWS = 1024;

export interface BatchedOptions {
  readonly model: string;
  readonly files: ModelFiles;
  readonly choice: BatchingChoice;
  readonly metrics: ServingMetrics;
  readonly onVerdict: (verdict: BatchingVerdict) => void;
}

/** A version behind batching, where that is chosen. Throws INVALID_ARGUMENT for a bad `batching_params.pbtxt`. */
export async function batched(servable: Servable, options: BatchedOptions): Promise<Servable> {
  const { model, files, choice, metrics, onVerdict } = options;
  const own = choice.isPerModel === true ? files.get(PER_MODEL_FILE) : undefined;
  const parameters = own === undefined ? choice.parameters : readBatchingParameters(new TextDecoder().decode(own));
  if (parameters !== "auto") return new BatchingServable(servable, model, parameters, metrics);
  const verdict = await measureBatching(servable);
  onVerdict(verdict);
  const { maxBatchSize } = verdict;
  if (maxBatchSize === 1) return servable;
  const maxEnqueuedBatches = Math.ceil(AUTO_ENQUEUED_ROWS / maxBatchSize);
  const chosen = { ...defaultBatching(), maxBatchSize, maxEnqueuedBatches, threads: AUTO_BATCHES, splitsLarge: true };
  return new BatchingServable(servable, model, chosen, metrics);
}
