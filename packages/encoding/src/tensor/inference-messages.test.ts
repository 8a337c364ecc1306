import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ExampleSchema } from "../gen/tensorflow/core/example/example_pb.js";
import { ClassificationRequestSchema } from "../gen/tensorflow_serving/apis/classification_pb.js";
import { MultiInferenceRequestSchema } from "../gen/tensorflow_serving/apis/inference_pb.js";
import { readInferenceRequest, readMultiInferenceRequest } from "./inference-messages.ts";
import { EncodingError } from "../index.ts";

const feature = (...value: number[]) => ({ kind: { case: "floatList" as const, value: { value } } });
const example = (features: Record<string, number>) => ({
  features: { feature: Object.fromEntries(Object.entries(features).map(([key, value]) => [key, feature(value)])) },
});

test("examples of a request stay serialized", () => {
  const request = create(ClassificationRequestSchema, {
    modelSpec: { name: "m", signatureName: "s" },
    input: { kind: { case: "exampleList", value: { examples: [example({ x: 1 }), example({ x: 2 })] } } },
  });
  const { model, examples } = readInferenceRequest(toBinary(ClassificationRequestSchema, request));
  assert.deepEqual(model, { name: "m", signatureName: "s" });
  assert.deepEqual(
    examples.map((bytes) => fromBinary(ExampleSchema, bytes).features?.feature["x"]?.kind.value),
    [1, 2].map(
      (value) =>
        fromBinary(ExampleSchema, toBinary(ExampleSchema, create(ExampleSchema, example({ x: value })))).features
          ?.feature["x"]?.kind.value,
    ),
  );
});

test("the context is merged into each example, and the example wins", () => {
  const value = { context: example({ x: 9, y: 5 }), examples: [example({ x: 1 })] };
  const request = create(ClassificationRequestSchema, { input: { kind: { case: "exampleListWithContext", value } } });
  const { model, examples } = readInferenceRequest(toBinary(ClassificationRequestSchema, request));
  assert.equal(model, undefined);
  const merged = fromBinary(ExampleSchema, examples[0] ?? assert.fail()).features?.feature;
  const valueOf = (name: string) => {
    const kind = merged?.[name]?.kind;
    return kind?.case === "floatList" ? kind.value.value : undefined;
  };
  assert.deepEqual([valueOf("x"), valueOf("y")], [[1], [5]]);
});

test("tasks of a multi-inference request are read in order", () => {
  const request = create(MultiInferenceRequestSchema, {
    tasks: [{ modelSpec: { name: "m" }, methodName: "a" }, { methodName: "b" }],
  });
  const { tasks, examples } = readMultiInferenceRequest(toBinary(MultiInferenceRequestSchema, request));
  assert.deepEqual(
    tasks.map(({ model, methodName }) => [model?.name, methodName]),
    [
      ["m", "a"],
      [undefined, "b"],
    ],
  );
  assert.deepEqual(examples, []);
});

test("bytes that are cut short are refused", () => {
  const request = create(ClassificationRequestSchema, { modelSpec: { name: "model" } });
  const bytes = toBinary(ClassificationRequestSchema, request).subarray(0, -1);
  assert.throws(
    () => readInferenceRequest(bytes),
    (error: unknown) => error instanceof EncodingError && error.code === "TENSOR_PROTO_MALFORMED",
  );
});

test("a large context beside very many examples is refused", () => {
  const examples = Array.from({ length: 1000 }, () => ({}));
  const context = {
    features: { feature: { x: { kind: { case: "bytesList" as const, value: { value: [new Uint8Array(300_000)] } } } } },
  };
  const request = create(ClassificationRequestSchema, {
    input: { kind: { case: "exampleListWithContext", value: { context, examples } } },
  });
  assert.throws(
    () => readInferenceRequest(toBinary(ClassificationRequestSchema, request)),
    (error: unknown) => error instanceof EncodingError && error.code === "TENSOR_PROTO_MALFORMED",
  );
});
