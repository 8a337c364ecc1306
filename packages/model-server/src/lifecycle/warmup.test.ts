import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { PredictionLogSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/prediction_log_pb";
import { crc32c, maskedCrc32c } from "@cloister/saved-model";
import { ModelServerError } from "../errors.ts";
import { ServingMetrics } from "../metrics/serving-metrics.ts";
import { elementwiseEngine } from "../testing/elementwise-engine.ts";
import { prepareServable } from "./prepare-servable.ts";
import { readTfRecords } from "./tf-record.ts";

const WARMUP_FILE = "assets.extra/tf_serving_warmup_requests";

function tfRecord(...records: readonly Uint8Array[]): Uint8Array {
  const parts = records.flatMap((record) => {
    const length = Buffer.alloc(12);
    length.writeBigUInt64LE(BigInt(record.length));
    length.writeUInt32LE(maskedCrc32c(crc32c(length.subarray(0, 8))), 8);
    const trailer = Buffer.alloc(4);
    trailer.writeUInt32LE(maskedCrc32c(crc32c(record)));
    return [length, record, trailer];
  });
  return new Uint8Array(Buffer.concat(parts));
}

const log = (init: MessageInitShape<typeof PredictionLogSchema>) =>
  toBinary(PredictionLogSchema, create(PredictionLogSchema, init));
const x = { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 1n }] }, floatVal: [2] };
const predictLog = (inputs: Record<string, typeof x>) =>
  log({ logType: { case: "predictLog", value: { request: { modelSpec: { name: "any" }, inputs } } } });
const examples = { kind: { case: "exampleList" as const, value: { examples: [{}] } } };
const classifyLog = log({
  logType: { case: "classifyLog", value: { request: { modelSpec: { signatureName: "classify_x" }, input: examples } } },
});
const regressLog = log({
  logType: { case: "regressLog", value: { request: { modelSpec: { signatureName: "regress_x" }, input: examples } } },
});
const task = {
  modelSpec: { name: "m", signatureName: "regress_x" },
  methodName: "tensorflow/serving/regress",
};
const multiLog = log({
  logType: { case: "multiInferenceLog", value: { request: { tasks: [task], input: examples } } },
});

/** Runs that the model saw, or what the load threw. */
async function warm(
  file: Uint8Array,
  iterations = 0,
  metrics = new ServingMetrics(),
): Promise<{ runs: number; closed: boolean; error?: unknown }> {
  const inner = elementwiseEngine();
  const seen = { runs: 0, closed: false };
  const engine = {
    name: "counting",
    load: async (files: ReadonlyMap<string, Uint8Array>) => {
      const servable = await inner.load(files);
      return {
        ...servable,
        run: (request: Parameters<typeof servable.run>[0]) => {
          seen.runs++;
          return servable.run(request);
        },
        close: async () => {
          seen.closed = true;
        },
      };
    },
  };
  const files = new Map([[WARMUP_FILE, file]]);
  try {
    await prepareServable(engine, files, "m/1", { isEnabled: true, iterations }, metrics);
    return seen;
  } catch (error) {
    return { ...seen, error };
  }
}

const codeOf = (error: unknown) => (error instanceof ModelServerError ? error.code : undefined);

test("every kind of warm-up record is sent before the version is served", async () => {
  const records = tfRecord(predictLog({ x }), classifyLog, regressLog, multiLog);
  assert.deepEqual(await warm(records), { runs: 4, closed: false });
  assert.deepEqual(await warm(records, 3), { runs: 12, closed: false });
  assert.deepEqual(await warm(tfRecord()), { runs: 0, closed: false });
});

test("loads and warm-ups are counted under TensorFlow Serving's names", async () => {
  const metrics = new ServingMetrics();
  await warm(tfRecord(predictLog({ x }), regressLog), 1, metrics);
  await warm(tfRecord(predictLog({ other: x })), 1, metrics);
  const told = metrics.registry.render();
  assert.match(told, /^:tensorflow:serving:model_warmup_latency_count\{model_path="m\/1",status="OK"\} 1$/m);
  assert.match(told, /^:tensorflow:serving:model_warmup_latency_count\{model_path="m\/1",status="FAILED"\} 1$/m);
  assert.match(told, /^:tensorflow:serving:model_warmup_records_read\{model_path="m\/1"\} 2$/m);
  assert.match(told, /^:tensorflow:cc:saved_model:load_attempt_count\{model_path="m\/1",status="success"\} 2$/m);
});

test("a record that fails, is of an unknown kind, or is one too many fails the load and frees the model", async () => {
  const wrong = await warm(tfRecord(predictLog({ x }), predictLog({ other: x })));
  assert.deepEqual([wrong.runs, wrong.closed, codeOf(wrong.error)], [1, true, "INVALID_ARGUMENT"]);
  assert.equal(codeOf((await warm(tfRecord(log({})))).error), "UNIMPLEMENTED");
  const tooMany = await warm(tfRecord(...Array<Uint8Array>(1001).fill(predictLog({ x }))));
  assert.deepEqual([tooMany.runs, codeOf(tooMany.error)], [1000, "INVALID_ARGUMENT"]);
});

test("damaged and truncated TFRecords are DATA_LOSS at every byte", () => {
  const file = tfRecord(Uint8Array.of(1, 2, 3), Uint8Array.of(4));
  assert.deepEqual(
    Array.from(readTfRecords(file), (record) => Array.from(record)),
    [[1, 2, 3], [4]],
  );
  const isLost = (error: unknown): boolean => codeOf(error) === "DATA_LOSS";
  for (let index = 0; index < file.length; index++) {
    const damaged = file.with(index, (file[index] ?? 0) ^ 1);
    assert.throws(() => [...readTfRecords(damaged)], isLost);
    if (index > 0 && index !== 19) assert.throws(() => [...readTfRecords(file.subarray(0, index))], isLost);
  }
});
