import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type MessageInitShape } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import {
  GetModelMetadataRequestSchema,
  GetModelMetadataResponseSchema,
  SignatureDefMapSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_metadata_pb";
import {
  GetModelStatusRequestSchema,
  GetModelStatusResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_status_pb";
import {
  PredictRequestSchema,
  type PredictResponse,
  PredictResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { compressionAlgorithms, credentials } from "@grpc/grpc-js";
import { type ModelServer, startModelServer } from "./index.ts";
import { elementwiseEngine, testCertificates } from "./testing/index.ts";
import { GrpcJsClient } from "./testing/grpc-js-client.ts";

const certificates = testCertificates();
const trusted = credentials.createSsl(Buffer.from(certificates.ca));
let server: ModelServer;
let client: GrpcJsClient;

before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    models: [
      { name: "half", version: 1, files: new Map() },
      { name: "half", version: 7, files: new Map() },
    ],
    engine: elementwiseEngine(),
    replicaId: "replica-3",
  });
  client = new GrpcJsClient(server.address.port, trusted);
});

after(async () => {
  client.close();
  await server.close();
});

type PredictInit = MessageInitShape<typeof PredictRequestSchema>;

const floats = (...values: number[]) => ({
  dtype: DataType.DT_FLOAT,
  tensorShape: { dim: [{ size: BigInt(values.length) }] },
  floatVal: values,
});

const predict = (request: PredictInit, by = client, options = {}) =>
  by.call(
    "/tensorflow.serving.PredictionService/Predict",
    PredictRequestSchema,
    PredictResponseSchema,
    request,
    options,
  );

const half = { name: "half" };

function versionOf(message: PredictResponse | undefined): bigint | undefined {
  const choice = message?.modelSpec?.versionChoice;
  return choice?.case === "version" ? choice.value.value : undefined;
}

test("grpc-js gets a prediction over TLS, with the version, signature and replica that answered", async () => {
  const { message, code, metadata } = await predict({ modelSpec: half, inputs: { x: floats(2, 3, 4) } });
  assert.equal(code, "OK");
  assert.deepEqual(message?.outputs["y"]?.floatVal, [3, 3.5, 4]);
  assert.deepEqual(message?.outputs["square"]?.floatVal, [4, 9, 16]);
  assert.equal(message?.modelSpec?.signatureName, "serving_default");
  assert.equal(versionOf(message), 7n);
  assert.deepEqual(metadata.get("cloister-replica"), ["replica-3"]);
});

test("a named version, signature and output filter are followed", async () => {
  const versionChoice = { case: "version" as const, value: { value: 1n } };
  const old = await predict({ modelSpec: { ...half, versionChoice }, inputs: { x: floats(2) }, outputFilter: ["y"] });
  assert.equal(versionOf(old.message), 1n);
  assert.deepEqual(Object.keys(old.message?.outputs ?? {}), ["y"]);
  const add = await predict({ modelSpec: { ...half, signatureName: "add" }, inputs: { a: floats(1), b: floats(2) } });
  assert.deepEqual(add.message?.outputs["sum"]?.floatVal, [3]);
});

test("a large tensor goes through in both directions", async () => {
  const content = new Uint8Array(new Float32Array(1_000_000).fill(8).buffer);
  const x = { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 1_000_000n }] }, tensorContent: content };
  const large = new GrpcJsClient(server.address.port, trusted, { "grpc.max_receive_message_length": -1 });
  const { message, code } = await predict({ modelSpec: half, inputs: { x } }, large);
  large.close();
  assert.equal(code, "OK");
  assert.equal(message?.outputs["y"]?.floatVal.length, 1_000_000);
  assert.ok(message.outputs["y"].floatVal.every((value) => value === 6));
});

test("gzip requests are answered", async () => {
  const gzip = new GrpcJsClient(server.address.port, trusted, {
    "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
  });
  const { message, code, details } = await predict(
    { modelSpec: half, inputs: { x: floats(...Array<number>(1000).fill(2)) } },
    gzip,
  );
  assert.deepEqual([code, details], ["OK", ""]);
  gzip.close();
  assert.equal(message?.outputs["y"]?.floatVal[999], 3);
});

test("refused requests have TensorFlow Serving's codes and texts", async () => {
  const cases: readonly [PredictInit, string, string][] = [
    [{ inputs: { x: floats(1) } }, "INVALID_ARGUMENT", "Missing ModelSpec"],
    [{ modelSpec: {}, inputs: {} }, "INVALID_ARGUMENT", "ModelSpec has no name specified."],
    [{ modelSpec: { name: "other" } }, "NOT_FOUND", "Servable not found for request: Latest(other)"],
    [
      { modelSpec: { ...half, versionChoice: { case: "version", value: { value: 9n } } } },
      "NOT_FOUND",
      "Servable not found for request: Specific(half, 9)",
    ],
    [
      { modelSpec: { ...half, versionChoice: { case: "versionLabel", value: "stable" } } },
      "INVALID_ARGUMENT",
      "Unrecognized servable version label: stable",
    ],
    [
      { modelSpec: { ...half, signatureName: "none" }, inputs: { x: floats(1) } },
      "FAILED_PRECONDITION",
      'Serving signature key "none" not found.',
    ],
    [
      { modelSpec: { ...half, signatureName: "add" }, inputs: { a: floats(1) } },
      "INVALID_ARGUMENT",
      "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ],
    [
      { modelSpec: half, inputs: { wrong: floats(1) } },
      "INVALID_ARGUMENT",
      "Inputs contains invalid name. Missing input: x (feed x:0).",
    ],
    [
      { modelSpec: half, inputs: { x: { ...floats(1), tensorContent: new Uint8Array(3) } } },
      "INVALID_ARGUMENT",
      "tensor parsing error: x",
    ],
    [
      { modelSpec: half, inputs: { x: floats(1) }, outputFilter: ["z"] },
      "INVALID_ARGUMENT",
      "output tensor alias not found in signature: z Outputs expected to be in the set {square,y}.",
    ],
    [
      { modelSpec: half, inputs: { x: floats(1) }, outputFilter: ["y", "y"] },
      "INVALID_ARGUMENT",
      "duplicate output tensor alias: y",
    ],
    [
      { modelSpec: half, inputs: { x: { dtype: DataType.DT_INT32, intVal: [1] } } },
      "INVALID_ARGUMENT",
      "the engine refused: float tensors only",
    ],
    [
      { modelSpec: { ...half, signatureName: "broken" }, inputs: { x: floats(1) } },
      "UNIMPLEMENTED",
      "the op Nonsense is not supported",
    ],
  ];
  for (const [request, code, text] of cases) {
    const result = await predict(request);
    assert.deepEqual([result.code, result.details], [code, text]);
  }
});

test("status tells all versions, the highest first, or the one asked for", async () => {
  const path = "/tensorflow.serving.ModelService/GetModelStatus";
  const status = (modelSpec: MessageInitShape<typeof GetModelStatusRequestSchema>["modelSpec"]) =>
    client.call(path, GetModelStatusRequestSchema, GetModelStatusResponseSchema, { ...(modelSpec && { modelSpec }) });
  const all = await status(half);
  assert.deepEqual(
    all.message?.modelVersionStatus.map(({ version, state }) => [version, state]),
    [
      [7n, 30],
      [1n, 30],
    ],
  );
  const one = await status({ ...half, versionChoice: { case: "version", value: { value: 1n } } });
  assert.deepEqual(
    one.message?.modelVersionStatus.map(({ version }) => version),
    [1n],
  );
  const unknown = await status({ ...half, versionChoice: { case: "version", value: { value: 2n } } });
  assert.deepEqual([unknown.code, unknown.details], ["NOT_FOUND", "Could not find version 2 of model half"]);
  const other = await status({ name: "other" });
  assert.deepEqual([other.code, other.details], ["NOT_FOUND", "Could not find any versions of model other"]);
  assert.equal((await status(undefined)).details, "Missing ModelSpec");
});

test("metadata tells the signatures", async () => {
  const metadata = (metadataField: string[]) =>
    client.call(
      "/tensorflow.serving.PredictionService/GetModelMetadata",
      GetModelMetadataRequestSchema,
      GetModelMetadataResponseSchema,
      { modelSpec: half, metadataField },
    );
  const { message } = await metadata(["signature_def"]);
  const any = message?.metadata["signature_def"] ?? assert.fail();
  assert.equal(any.typeUrl, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
  const { signatureDef } = anyUnpack(any, SignatureDefMapSchema) ?? assert.fail();
  assert.deepEqual(Object.keys(signatureDef).toSorted(), [
    "add",
    "broken",
    "classify_x",
    "regress_x",
    "scaled",
    "score_x",
    "serving_default",
  ]);
  assert.equal(signatureDef["serving_default"]?.inputs["x"]?.encoding.value, "x:0");
  assert.deepEqual(signatureDef["scaled"]?.defaults["factor"]?.floatVal, [10]);
  assert.equal((await metadata([])).code, "INVALID_ARGUMENT");
  assert.equal((await metadata(["other"])).code, "INVALID_ARGUMENT");
});

test("health tells SERVING, and NOT_FOUND for a service that is not there", async () => {
  const check = (service: string) =>
    client.call("/grpc.health.v1.Health/Check", HealthCheckRequestSchema, HealthCheckResponseSchema, { service });
  assert.equal((await check("")).message?.status, 1);
  assert.equal((await check("tensorflow.serving.PredictionService")).message?.status, 1);
  assert.equal((await check("other")).code, "NOT_FOUND");
});

test("an unknown method is UNIMPLEMENTED", async () => {
  const { code } = await client.call(
    "/tensorflow.serving.SessionService/SessionRun",
    PredictRequestSchema,
    PredictResponseSchema,
    {},
  );
  assert.equal(code, "UNIMPLEMENTED");
});

test("a label names a version, and the answer tells the version's number", async () => {
  server.registry.setLabels("half", new Map([["stable", 1n]]));
  const versionChoice = { case: "versionLabel" as const, value: "stable" };
  const { message } = await predict({ modelSpec: { ...half, versionChoice }, inputs: { x: floats(2) } });
  server.registry.setLabels("half", new Map());
  assert.equal(versionOf(message), 1n);
});

test("a status text of more than 1024 bytes is cut", async () => {
  const { code, details } = await predict({ modelSpec: { name: "n".repeat(2000) } });
  assert.deepEqual([code, details.length], ["NOT_FOUND", 1024 + "...TRUNCATED".length]);
  assert.match(details, /^Servable not found for request: Latest\(n+\.\.\.TRUNCATED$/);
});

test("fields of Predict that no open server follows are taken: options of streams and of requests, the client's name", async () => {
  const $unknown = [5, 6, 7].map((no) => ({ no, wireType: 2, data: Uint8Array.of(0) }));
  const { message, code } = await predict({ modelSpec: half, inputs: { x: floats(2) }, $unknown });
  assert.deepEqual([code, message?.outputs["y"]?.floatVal], ["OK", [3]]);
});
