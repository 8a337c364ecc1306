import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import { BatchingServable } from "../batching/batching-servable.ts";
import { defaultBatching } from "../batching/batching-parameters.ts";
import type { RunRequest, Servable } from "../engine/engine.ts";
import { OnnxEngine } from "../engine/onnx-engine.ts";
import { readModelDir } from "../engine/testing/files.ts";
import { ServingMetrics } from "../metrics/serving-metrics.ts";
import { classifyOn, type MultiInferenceCall, multiInferOn, regressOn } from "./infer-examples.ts";

const MODELS = join(import.meta.dirname, "../../../saved-model/test-models/tfserving");
const REGRESS = "tensorflow/serving/regress";
const CLASSIFY = "tensorflow/serving/classify";

const example = (x: number): Uint8Array => {
  const kind = { case: "floatList" as const, value: { value: [x] } };
  return toBinary(ExampleSchema, create(ExampleSchema, { features: { feature: { x: { kind } } } }));
};
const call = (...xs: number[]) => ({ examples: xs.map(example), signal: undefined });
const task = (signatureName: string, methodName: string): MultiInferenceCall["tasks"][number] => ({
  model: { name: "half", signatureName },
  methodName,
});

/** A real model, and the requests that its engine gets. */
async function counted(path: string): Promise<{ servable: Servable; requests: RunRequest[] }> {
  const inner = await new OnnxEngine({ execution: "inline" }).load(readModelDir(join(MODELS, path)));
  const requests: RunRequest[] = [];
  const run: Servable["run"] = (request) => {
    requests.push(request);
    return inner.run(request);
  };
  const { signatures, unsupported } = inner;
  return { servable: { signatures, unsupported, run, close: () => inner.close() }, requests };
}

test("tasks whose signatures read one tensor are one run, and answer as they do alone", async (context) => {
  const { servable, requests } = await counted("saved_model_half_plus_two_cpu/00000123");
  context.after(() => servable.close());
  const tasks = [task("regress_x_to_y", REGRESS), task("classify_x_to_y", CLASSIFY), task("regress_x_to_y2", REGRESS)];
  const answers = await multiInferOn({ servable, name: "half", version: 1n }, { tasks, ...call(2, 20) }, false);
  assert.equal(requests.length, 1);
  assert.deepEqual(
    answers.map(({ rows }) => rows),
    [
      await regressOn(servable, "regress_x_to_y", call(2, 20), false),
      await classifyOn(servable, "classify_x_to_y", call(2, 20), false),
      await regressOn(servable, "regress_x_to_y2", call(2, 20), false),
    ],
  );
});

test("tasks whose signatures have inputs of their own, as TensorFlow 2 makes them, are a run each", async (context) => {
  const { servable, requests } = await counted("saved_model_half_plus_two_tf2_cpu/00000123");
  context.after(() => servable.close());
  const tasks = [task("classify_x_to_y", CLASSIFY), task("regress_x_to_y", REGRESS)];
  const answers = await multiInferOn({ servable, name: "half", version: 1n }, { tasks, ...call(4) }, false);
  assert.equal(requests.length, 2);
  assert.deepEqual(
    answers.map(({ kind, rows }) => [kind, rows]),
    [
      ["classify", [[{ label: "", score: 4 }]]],
      ["regress", [4]],
    ],
  );
});

test("MultiInference requests for the same tasks share a batch", async (context) => {
  const { servable: inner, requests } = await counted("saved_model_half_plus_two_cpu/00000123");
  const options = { ...defaultBatching(), maxBatchSize: 3, timeoutMs: 60_000 };
  const servable = new BatchingServable(inner, "half", options, new ServingMetrics());
  context.after(() => servable.close());
  const tasks = [task("regress_x_to_y", REGRESS), task("regress_x_to_y2", REGRESS)];
  const ask = (...xs: number[]) =>
    multiInferOn({ servable, name: "half", version: 1n }, { tasks, ...call(...xs) }, false);
  const [first, second] = await Promise.all([ask(2), ask(4, 6)]);
  assert.equal(requests.length, 1);
  assert.deepEqual(
    [first, second].map((answers) => answers?.map(({ rows }) => rows)),
    [
      [[3], [4]],
      [
        [4, 5],
        [5, 6],
      ],
    ],
  );
});
