import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import type { RunRequest, Servable } from "../engine/engine.ts";
import { callError, ModelServerError } from "../errors.ts";
import { ServingMetrics } from "../metrics/serving-metrics.ts";
import { elementwiseEngine } from "../testing/elementwise-engine.ts";
import { measureBatching } from "./auto-batching.ts";
import { batched } from "./batched.ts";
import { type BatchingOptions, defaultBatching, readBatchingParameters } from "./batching-parameters.ts";
import { BatchingServable } from "./batching-servable.ts";

const x = (...values: number[]): Tensor => ({
  dtype: "float",
  shape: [values.length],
  data: Float32Array.from(values),
});
const request = (tensor: Tensor): RunRequest => ({
  signature: "serving_default",
  inputs: new Map([["x", tensor]]),
  outputs: ["y"],
});
const hasCode = (code: string) => (error: unknown) => error instanceof ModelServerError && error.code === code;

/** A model behind batching, and the rows of each run that it saw. */
async function batching(options: Partial<BatchingOptions>, change: Partial<Servable> = {}) {
  const inner = await elementwiseEngine(5).load(new Map());
  const seen: number[] = [];
  const counting: Servable = {
    ...inner,
    run: (one) => {
      seen.push(one.inputs.get("x")?.shape[0] ?? 0);
      return inner.run(one);
    },
    ...change,
  };
  const all = { ...defaultBatching(), threads: 1, ...options };
  const metrics = new ServingMetrics();
  return { servable: new BatchingServable(counting, "m", all, metrics), seen, metrics };
}

const values = (outputs: ReadonlyMap<string, Tensor>) => Array.from((outputs.get("y") as Tensor).data as Float32Array);

test("requests that wait together run together, and each gets its own rows", async () => {
  const { servable, seen } = await batching({ maxBatchSize: 4, timeoutMs: 1000 });
  const results = await Promise.all([[2], [4, 6], [8]].map((rows) => servable.run(request(x(...rows)))));
  assert.deepEqual(results.map(values), [[3], [4, 5], [6]]);
  assert.deepEqual(seen, [4]);
});

test("a batch that is not full runs after the time-out", async () => {
  const { servable, seen, metrics } = await batching({ timeoutMs: 10, poolName: "pool" });
  assert.deepEqual(values(await servable.run(request(x(2, 4)))), [3, 4]);
  assert.deepEqual(seen, [2]);
  const told = metrics.registry.render();
  assert.match(told, /^:tensorflow:serving:batching_session:queuing_latency_count\{thread_pool_name="pool"\} 1$/m);
  assert.match(told, /^:tensorflow:serving:batching_session:wrapped_run_count 1$/m);
});

test("batches are filled up to an allowed size, and the filling is not answered", async () => {
  const { servable, seen } = await batching({ maxBatchSize: 8, allowedSizes: [4, 8] });
  assert.deepEqual(values(await servable.run(request(x(2, 4, 6)))), [3, 4, 5]);
  assert.deepEqual(seen, [4]);
});

test("batches are filled up with the first row of their last request", async () => {
  const seen: Tensor[] = [];
  const echo = async ({ inputs }: RunRequest) => {
    const tensor = inputs.get("x") as Tensor;
    seen.push(tensor);
    return new Map([["y", tensor]]);
  };
  const { servable } = await batching({ maxBatchSize: 8, timeoutMs: 10, allowedSizes: [6, 8] }, { run: echo });
  await Promise.all([servable.run(request(x(1, 2))), servable.run(request(x(3, 4)))]);
  assert.deepEqual(Array.from((seen[0] as Tensor).data as Float32Array), [1, 2, 3, 4, 3, 3]);
});

test("a request above the largest batch is refused, or split where that is asked for", async () => {
  const { servable } = await batching({ maxBatchSize: 2 });
  await assert.rejects(servable.run(request(x(1, 2, 3))), hasCode("INVALID_ARGUMENT"));
  const splitting = await batching({ maxBatchSize: 2, splitsLarge: true });
  assert.deepEqual(values(await splitting.servable.run(request(x(2, 4, 6, 8, 10)))), [3, 4, 5, 6, 7]);
  assert.deepEqual(splitting.seen, [2, 2, 1]);
});

test("requests of another shape have a queue of their own and cannot fail others", async () => {
  const { servable, seen } = await batching({ maxBatchSize: 2, timeoutMs: 5 });
  const wide: Tensor = { dtype: "float", shape: [1, 2], data: Float32Array.of(2, 4) };
  const results = await Promise.all([
    servable.run(request(x(2))),
    servable.run(request(wide)),
    servable.run(request(x(4))),
  ]);
  assert.deepEqual(results.map(values), [[3], [3, 4], [4]]);
  assert.equal(seen.length, 2);
});

test("a full queue refuses, a scalar, inputs of unequal rows and an output without rows are refused", async () => {
  const { servable } = await batching({ maxBatchSize: 1, maxEnqueuedBatches: 1 });
  const results = await Promise.allSettled([1, 2, 3].map((value) => servable.run(request(x(value)))));
  assert.ok(results.some((result) => result.status === "rejected" && hasCode("UNAVAILABLE")(result.reason)));
  assert.ok(results.some((result) => result.status === "fulfilled"));
  await assert.rejects(servable.run(request({ ...x(1), shape: [] })), hasCode("INVALID_ARGUMENT"));
  const inputs = new Map([1, 2].map((rows) => [`x${rows}`, x(...Array<number>(rows).fill(1))]));
  await assert.rejects(servable.run({ signature: "add", inputs, outputs: ["sum"] }), hasCode("INVALID_ARGUMENT"));
  const scalar = await batching({}, { run: async () => new Map([["y", { ...x(1), shape: [] }]]) });
  await assert.rejects(scalar.servable.run(request(x(1, 2))), hasCode("FAILED_PRECONDITION"));
});

test("a cancelled request is left out, and closing refuses what waits", async () => {
  const { servable, seen } = await batching({ maxBatchSize: 2, timeoutMs: 10 });
  const gone = servable.run({ ...request(x(1)), signal: AbortSignal.abort() });
  const rejected = assert.rejects(gone, hasCode("CANCELLED"));
  assert.deepEqual(values(await servable.run(request(x(2)))), [3]);
  await rejected;
  assert.deepEqual(seen, [1]);
  const waiting = assert.rejects(servable.run(request(x(2))), hasCode("UNAVAILABLE"));
  await servable.close();
  await waiting;
});

test("a request whose deadline passes in the queue is left out, with TensorFlow Serving's code", async () => {
  const { servable, seen } = await batching({ maxBatchSize: 2, timeoutMs: 10 });
  const signal = AbortSignal.abort(callError("DEADLINE_EXCEEDED", "Deadline Exceeded"));
  const late = assert.rejects(servable.run({ ...request(x(1)), signal }), hasCode("RESOURCE_EXHAUSTED"));
  assert.deepEqual(values(await servable.run(request(x(2)))), [3]);
  await late;
  assert.deepEqual(seen, [1]);
});

test("a batching parameters file is read, and what cannot work is refused", () => {
  const text = "max_batch_size { value: 128 } batch_timeout_micros { value: 500 } num_batch_threads { value: 8 }";
  const options = readBatchingParameters(`${text} allowed_batch_sizes: 64 allowed_batch_sizes: 128`);
  assert.deepEqual([options.maxBatchSize, options.timeoutMs, options.threads], [128, 0.5, 8]);
  for (const bad of [
    "max_batch_size { value: 0 }",
    `${text} allowed_batch_sizes: 64`,
    `${text} allowed_batch_sizes: 128 allowed_batch_sizes: 64`,
    "other: 1",
  ]) {
    assert.throws(() => readBatchingParameters(bad), hasCode("INVALID_ARGUMENT"));
  }
});

test("padding lets requests of one rank share a batch, each filled with its own first element", async () => {
  const seen: Tensor[] = [];
  const echo = async ({ inputs }: RunRequest) => {
    const tensor = inputs.get("x") as Tensor;
    seen.push(tensor);
    return new Map([["y", tensor]]);
  };
  const padsInputs = readBatchingParameters("pad_variable_length_inputs: true").padsInputs;
  const { servable } = await batching({ maxBatchSize: 2, timeoutMs: 1000, padsInputs }, { run: echo });
  const small: Tensor = { dtype: "float", shape: [1, 2, 1], data: Float32Array.of(1, 2) };
  const large: Tensor = { dtype: "float", shape: [1, 1, 3], data: Float32Array.of(7, 8, 9) };
  const results = await Promise.all([servable.run(request(small)), servable.run(request(large))]);
  assert.deepEqual(seen[0]?.shape, [2, 2, 3]);
  assert.deepEqual(results.map(values), [
    [1, 1, 1, 2, 1, 1],
    [7, 8, 9, 7, 7, 7],
  ]);
});

test("the automatic mode batches a model that gains by it, and leaves alone one that does not or whose answers change", async () => {
  const inner = await elementwiseEngine().load(new Map());
  const measure = (costMs: (rows: number) => number) => {
    let clockMs = 0;
    const costing: Servable = {
      ...inner,
      run: (one) => {
        clockMs += costMs(one.inputs.get("x")?.shape[0] ?? 0);
        return inner.run(one);
      },
    };
    return measureBatching(costing, () => clockMs);
  };
  const { maxBatchSize, gain } = await measure(() => 20);
  assert.deepEqual([maxBatchSize, gain], [32, 32]);
  assert.equal((await measure((rows) => (rows <= 8 ? 20 : 20 * rows))).maxBatchSize, 8);
  assert.equal((await measure((rows) => 20 * rows)).maxBatchSize, 1);
  const changing: Servable = {
    ...inner,
    run: async (one) => {
      const outputs = await inner.run(one);
      const [rows = 0] = one.inputs.get("x")?.shape ?? [];
      for (const { data } of outputs.values()) (data as Float32Array)[0] = rows;
      return outputs;
    },
  };
  const verdict = await measureBatching(changing);
  assert.equal(verdict.maxBatchSize, 1);
  assert.match(verdict.why, /bit for bit/);
});

test("parameters in a version's folder count more than those of the server, and bad ones fail the load", async () => {
  const servable = await elementwiseEngine().load(new Map());
  const load = (text: string) =>
    batched(servable, {
      model: "m",
      files: new Map([["batching_params.pbtxt", new TextEncoder().encode(text)]]),
      choice: { parameters: defaultBatching(), isPerModel: true },
      metrics: new ServingMetrics(),
      onVerdict: () => undefined,
    });
  const small = await load("max_batch_size { value: 2 }");
  await assert.rejects(small.run(request(x(1, 2, 3))), hasCode("INVALID_ARGUMENT"));
  await assert.rejects(load("max_batch_size { value: 0 }"), hasCode("INVALID_ARGUMENT"));
});
