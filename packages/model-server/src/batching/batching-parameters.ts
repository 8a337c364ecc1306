import { availableParallelism } from "node:os";
import { EncodingError } from "@cloister/encoding";
import { BatchingParametersSchema } from "@cloister/encoding/gen/tensorflow_serving/servables/tensorflow/session_bundle_config_pb";
import { readTextFormat } from "@cloister/encoding/text-format";
import { callError } from "../errors.ts";

/** How requests are put together. */
export interface BatchingOptions {
  /** Rows of a batch at most. */
  readonly maxBatchSize: number;
  /** How long a batch that is not full waits for more. */
  readonly timeoutMs: number;
  /** Full batches that may wait in a queue; more requests are refused with UNAVAILABLE. */
  readonly maxEnqueuedBatches: number;
  /** Batches that run at a time. */
  readonly threads: number;
  /** Batches are filled up to the next of these sizes; empty: they stay as they are. */
  readonly allowedSizes: readonly number[];
  /** Whether a larger request is split; otherwise it is refused. */
  readonly splitsLarge: boolean;
  /** Whether requests of one rank share a batch, whose inputs are filled up to the largest shape in it. */
  readonly padsInputs: boolean;
  /** Names the queue in metrics. */
  readonly poolName: string;
}

/** TensorFlow Serving's defaults. */
export function defaultBatching(): BatchingOptions {
  return {
    maxBatchSize: 1000,
    timeoutMs: 0,
    maxEnqueuedBatches: 10,
    threads: availableParallelism(),
    allowedSizes: [],
    splitsLarge: false,
    padsInputs: false,
    poolName: "batch_threads",
  };
}

/** Reads a `--batching_parameters_file`. Throws INVALID_ARGUMENT. */
export function readBatchingParameters(text: string): BatchingOptions {
  const parameters = parse(text);
  const defaults = defaultBatching();
  const options: BatchingOptions = {
    maxBatchSize: positive("max_batch_size", parameters.maxBatchSize, defaults.maxBatchSize),
    timeoutMs: Number(parameters.batchTimeoutMicros ?? 0n) / 1000,
    maxEnqueuedBatches: positive("max_enqueued_batches", parameters.maxEnqueuedBatches, defaults.maxEnqueuedBatches),
    threads: positive("num_batch_threads", parameters.numBatchThreads, defaults.threads),
    allowedSizes: parameters.allowedBatchSizes.map(Number),
    splitsLarge: parameters.enableLargeBatchSplitting ?? false,
    padsInputs: parameters.padVariableLengthInputs,
    poolName: parameters.threadPoolName ?? defaults.poolName,
  };
  if (options.timeoutMs < 0) throw callError("INVALID_ARGUMENT", "batch_timeout_micros must be non-negative");
  checkAllowedSizes(options);
  return options;
}

function parse(text: string) {
  try {
    return readTextFormat(BatchingParametersSchema, text);
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw callError("INVALID_ARGUMENT", `Invalid protobuf file: ${cause.explanation.why}`, { cause });
  }
}

function positive(name: string, value: bigint | undefined, byDefault: number): number {
  if (value === undefined) return byDefault;
  if (value < 1n) throw callError("INVALID_ARGUMENT", `${name} must be positive; was ${value}`);
  return Number(value);
}

function checkAllowedSizes({ allowedSizes, maxBatchSize }: BatchingOptions): void {
  const isIncreasing = allowedSizes.every((size, index) => size > (allowedSizes[index - 1] ?? 0));
  if (!isIncreasing)
    throw callError("INVALID_ARGUMENT", "allowed_batch_sizes entries must be monotonically increasing");
  const last = allowedSizes.at(-1) ?? maxBatchSize;
  if (last !== maxBatchSize) {
    throw callError(
      "INVALID_ARGUMENT",
      `Last entry in allowed_batch_sizes must match max_batch_size; last entry was ${last}; expected ${maxBatchSize}`,
    );
  }
}
