import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import {
  ClassificationRequestSchema,
  ClassificationResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/classification_pb";
import {
  MultiInferenceRequestSchema,
  MultiInferenceResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/inference_pb";
import type { InputSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/input_pb";
import { PredictRequestSchema, PredictResponseSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import {
  RegressionRequestSchema,
  RegressionResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/regression_pb";
import { credentials } from "@grpc/grpc-js";
import { type ModelServer, startModelServer } from "./index.ts";
import { GrpcJsClient } from "./testing/grpc-js-client.ts";
import { elementwiseEngine } from "./testing/index.ts";

let server: ModelServer;
let client: GrpcJsClient;
/** Runs of the model. */
let runs = 0;

before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 7, files: new Map() }],
    engine: elementwiseEngine(0, () => runs++),
  });
  client = new GrpcJsClient(server.address.port, credentials.createInsecure());
});

after(async () => {
  client.close();
  await server.close();
});

const SERVICE = "/tensorflow.serving.PredictionService";
const example = (x: number) => ({
  features: { feature: { x: { kind: { case: "floatList" as const, value: { value: [x] } } } } },
});
const list = (...xs: number[]): MessageInitShape<typeof InputSchema> => ({
  kind: { case: "exampleList", value: { examples: xs.map(example) } },
});
const spec = (signatureName: string, name = "half") => ({ name, signatureName });

const classify = (request: MessageInitShape<typeof ClassificationRequestSchema>) =>
  client.call(`${SERVICE}/Classify`, ClassificationRequestSchema, ClassificationResponseSchema, request);
const regress = (request: MessageInitShape<typeof RegressionRequestSchema>) =>
  client.call(`${SERVICE}/Regress`, RegressionRequestSchema, RegressionResponseSchema, request);
const multiInfer = (request: MessageInitShape<typeof MultiInferenceRequestSchema>) =>
  client.call(`${SERVICE}/MultiInference`, MultiInferenceRequestSchema, MultiInferenceResponseSchema, request);

test("Classify answers labels and scores for each example", async () => {
  const { message, code } = await classify({ modelSpec: spec("classify_x"), input: list(2, 3) });
  assert.equal(code, "OK");
  assert.deepEqual(
    message?.result?.classifications.map(({ classes }) => classes.map(({ label, score }) => [label, score])),
    [[["even", 3]], [["odd", 3.5]]],
  );
  assert.equal(message?.modelSpec?.signatureName, "classify_x");
  assert.equal(message.modelSpec.versionChoice.case, "version");
});

test("a signature without labels, whose method name is predict, classifies with empty labels", async () => {
  const { message } = await classify({ modelSpec: spec("score_x"), input: list(2) });
  assert.deepEqual(
    message?.result?.classifications.map(({ classes }) => classes.map(({ label, score }) => [label, score])),
    [[["", 3]]],
  );
});

test("Regress answers one value for each example, and the context fills what an example lacks", async () => {
  const plain = await regress({ modelSpec: spec("regress_x"), input: list(2, 3) });
  assert.deepEqual(
    plain.message?.result?.regressions.map(({ value }) => value),
    [3, 3.5],
  );
  const value = { context: example(8), examples: [{}, example(2)] };
  const input = { kind: { case: "exampleListWithContext" as const, value } };
  const merged = await regress({ modelSpec: spec("regress_x"), input });
  assert.deepEqual(
    merged.message?.result?.regressions.map(({ value: one }) => one),
    [6, 3],
  );
});

test("MultiInference answers each task in order, from one run of the model", async () => {
  const before = runs;
  const { message, code } = await multiInfer({
    tasks: [
      { modelSpec: spec("regress_x"), methodName: "tensorflow/serving/regress" },
      { modelSpec: spec("classify_x"), methodName: "tensorflow/serving/classify" },
    ],
    input: list(4),
  });
  assert.equal(code, "OK");
  assert.equal(runs - before, 1);
  const [first, second] = message?.results ?? [];
  assert.equal(first?.result.case === "regressionResult" && first.result.value.regressions[0]?.value, 4);
  assert.equal(second?.result.case === "classificationResult" && second.result.value.classifications.length, 1);
  assert.deepEqual([first?.modelSpec?.signatureName, second?.modelSpec?.signatureName], ["regress_x", "classify_x"]);
  assert.match(
    server.metrics.registry.render(),
    /^:tensorflow:serving:runtime_latency_count\{model_name="half",API="MultiInference",runtime="TF1"\} 1$/m,
  );
});

test("refused inference requests have TensorFlow Serving's codes and texts", async () => {
  const task = (signatureName: string, methodName: string, name = "half") => ({
    modelSpec: spec(signatureName, name),
    methodName,
  });
  const REGRESS = "tensorflow/serving/regress";
  const results = [
    await classify({ input: list(1) }),
    await classify({ modelSpec: spec("classify_x") }),
    await classify({ modelSpec: spec("none"), input: list(1) }),
    await classify({ modelSpec: spec("serving_default"), input: list(1) }),
    await classify({ modelSpec: spec("regress_x"), input: list(1) }),
    await regress({ modelSpec: spec("classify_x"), input: list(1) }),
    await regress({ modelSpec: spec("add"), input: list(1) }),
    await multiInfer({ tasks: [task("regress_x", "tensorflow/serving/predict")], input: list(1) }),
    await multiInfer({ tasks: [task("regress_x", REGRESS), task("none", REGRESS)], input: list(1) }),
    await multiInfer({ tasks: [task("regress_x", REGRESS), task("classify_x", REGRESS)], input: list(1) }),
    await multiInfer({ tasks: [task("regress_x", REGRESS)] }),
    await multiInfer({ tasks: [task("regress_x", REGRESS), task("regress_x", REGRESS)], input: list(1) }),
    await multiInfer({ tasks: [task("regress_x", REGRESS), task("x", REGRESS, "other")], input: list(1) }),
    await multiInfer({ tasks: [], input: list(1) }),
  ];
  assert.deepEqual(
    results.map(({ code, details }) => `${code} ${details}`),
    [
      "INVALID_ARGUMENT Missing ModelSpec",
      "INVALID_ARGUMENT Input is empty.",
      "INVALID_ARGUMENT No signature was found with the name: none",
      'INVALID_ARGUMENT No classification inputs found in SignatureDef: it has no input "inputs".',
      "INVALID_ARGUMENT Expected classification signature outputs to be classes and scores, or one of them.",
      "INVALID_ARGUMENT Expected one output Tensor.",
      "INVALID_ARGUMENT Expected one input Tensor.",
      "UNIMPLEMENTED Unsupported signature method_name: tensorflow/serving/predict",
      "INVALID_ARGUMENT Requested signature not found in model graph: none",
      "INVALID_ARGUMENT Expected one output Tensor.",
      "INVALID_ARGUMENT Input is empty.",
      "INVALID_ARGUMENT Duplicate evaluation of signature: regress_x",
      "INVALID_ARGUMENT All ModelSpecs in a MultiInferenceRequest must access the same model name.",
      "INVALID_ARGUMENT Missing ModelSpec",
    ],
  );
});

test("an input that a request leaves out takes the signature's default", async () => {
  const x = { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 1n }] }, floatVal: [2] };
  const predict = (inputs: MessageInitShape<typeof PredictRequestSchema>["inputs"]) =>
    client.call(`${SERVICE}/Predict`, PredictRequestSchema, PredictResponseSchema, {
      modelSpec: spec("scaled"),
      ...(inputs && { inputs }),
    });
  assert.deepEqual((await predict({ x })).message?.outputs["y"]?.floatVal, [20]);
  const factor = { dtype: DataType.DT_FLOAT, floatVal: [3] };
  assert.deepEqual((await predict({ x, factor })).message?.outputs["y"]?.floatVal, [6]);
  assert.equal((await predict({ factor })).code, "INVALID_ARGUMENT");
  assert.equal(
    (await predict({ x, other: x })).details,
    "Inputs contains invalid name. Used inputs: 1, unknown: other.",
  );
});
