import { CallSeconds } from "./call-seconds.ts";
import { MetricRegistry } from "./metric-registry.ts";

/** Microseconds, as TensorFlow Serving's buckets: 10 * 1.8^k. */
const LATENCY_BOUNDS = Array.from({ length: 33 }, (_, k) => 10 * 1.8 ** k);
const COUNT_BOUNDS = Array.from({ length: 15 }, (_, k) => 2 ** k);

export type Api = "Predict" | "Classify" | "Regress" | "MultiInference";
export type Entrypoint = "GRPC" | "REST";

/** What the server counts: TensorFlow Serving's metrics under its names, then our own under `/cloister`. */
export class ServingMetrics {
  readonly registry = new MetricRegistry();
  readonly requestCount = this.registry.counter("/tensorflow/serving/request_count", "model_name", "status");
  readonly requestLatency = this.registry.histogram(
    "/tensorflow/serving/request_latency",
    LATENCY_BOUNDS,
    "model_name",
    "API",
    "entrypoint",
  );
  readonly runtimeLatency = this.registry.histogram(
    "/tensorflow/serving/runtime_latency",
    LATENCY_BOUNDS,
    "model_name",
    "API",
    "runtime",
  );
  readonly exampleCounts = this.registry.histogram("/tensorflow/serving/request_example_counts", COUNT_BOUNDS, "model");
  readonly exampleCountTotal = this.registry.counter("/tensorflow/serving/request_example_count_total", "model");
  readonly warmupLatency = this.registry.histogram(
    "/tensorflow/serving/model_warmup_latency",
    LATENCY_BOUNDS,
    "model_path",
    "status",
  );
  readonly warmupRecords = this.registry.counter("/tensorflow/serving/model_warmup_records_read", "model_path");
  readonly batchQueuing = this.registry.histogram(
    "/tensorflow/serving/batching_session/queuing_latency",
    LATENCY_BOUNDS,
    "thread_pool_name",
  );
  readonly batchRuns = this.registry.counter("/tensorflow/serving/batching_session/wrapped_run_count");
  readonly loads = this.registry.counter("/tensorflow/cc/saved_model/load_attempt_count", "model_path", "status");
  readonly loadLatency = this.registry.counter("/tensorflow/cc/saved_model/load_latency", "model_path");
  readonly batchSize = this.registry.histogram("/cloister/batch_size", COUNT_BOUNDS, "model_name");
  /** Calls that are being worked on. */
  readonly runningCalls = this.registry.gauge("/cloister/running_calls");
  /** How long calls were worked on: what an autoscaler goes by. */
  readonly callSeconds = new CallSeconds();
  readonly connections = this.registry.gauge("/cloister/connections");
  readonly handshakes = this.registry.counter("/cloister/tls_handshakes", "result");
  readonly heldBytes = this.registry.gauge("/cloister/held_bytes");

  constructor() {
    this.registry.computed("/cloister/call_seconds", () => this.callSeconds.total);
  }
}
