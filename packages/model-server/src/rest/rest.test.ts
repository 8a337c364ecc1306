import assert from "node:assert/strict";
import { request as httpsRequest } from "node:https";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Engine, SignatureInfo, TensorInfo } from "../engine/engine.ts";
import { type ModelServer, ModelServerError, startModelServer } from "../index.ts";
import { writePredictBody } from "./predict-json.ts";
import { elementwiseEngine, testCertificates } from "../testing/index.ts";

const info = (dtype: Tensor["dtype"]): TensorInfo => ({ name: "t:0", dtype, shape: undefined });
const echoSignature = (...dtypes: Tensor["dtype"][]): SignatureInfo => {
  const tensors = new Map(dtypes.map((dtype) => [dtype === "string" ? "text_bytes" : dtype, info(dtype)]));
  return { methodName: "tensorflow/serving/predict", inputs: tensors, outputs: tensors };
};
/** Answers what it was given. */
const echoEngine: Engine = {
  name: "echo",
  load: async () => ({
    signatures: new Map([
      ...(["float", "double", "int64", "uint8", "bool", "string", "half", "uint64"] as const).map(
        (dtype): [string, SignatureInfo] => [dtype, echoSignature(dtype)],
      ),
      ["pair", echoSignature("float", "int64")],
    ]),
    unsupported: new Map(),
    run: async ({ inputs }) => new Map(inputs),
    close: async () => undefined,
  }),
};

let half: ModelServer;
let echo: ModelServer;
const base = { host: "127.0.0.1", port: 0, insecure: true, insecureRest: true };
const rest = { host: "127.0.0.1", port: 0, metricsPath: "/monitoring/prometheus/metrics" };

before(async () => {
  const models = [
    { name: "half", version: 3, files: new Map<string, Uint8Array>() },
    { name: "half", version: 7, files: new Map<string, Uint8Array>() },
  ];
  half = await startModelServer({ ...base, rest: { ...rest, allowsCors: true }, models, engine: elementwiseEngine() });
  const echoes = [{ name: "echo", version: 1, files: new Map<string, Uint8Array>() }];
  echo = await startModelServer({ ...base, rest, models: echoes, engine: echoEngine });
});

after(async () => {
  await half.close();
  await echo.close();
});

async function ask(server: ModelServer, path: string, init?: RequestInit): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${server.restAddress?.port}${path}`, init);
  return { status: answer.status, text: await answer.text() };
}
const post = (server: ModelServer, path: string, body: string | Uint8Array<ArrayBuffer>, headers = {}) =>
  ask(server, path, { method: "POST", body, headers });
const predictHalf = (body: unknown, path = "/v1/models/half:predict") => post(half, path, JSON.stringify(body));
const compact = (text: string) => text.replaceAll(/\s+/g, "");
async function echoed(signature: string, body: string): Promise<string> {
  const { text } = await post(echo, "/v1/models/echo:predict", `{"signature_name": "${signature}", ${body}}`);
  return compact(text);
}
async function refused(signature: string, body: string): Promise<string> {
  const { status, text } = await post(echo, "/v1/models/echo:predict", `{"signature_name": "${signature}", ${body}}`);
  return `${status} ${(JSON.parse(text) as { error: string }).error}`;
}

test("row and column format, by version, and with several outputs", async () => {
  const row = await predictHalf({ instances: [2, 3, 4] });
  assert.equal(row.status, 200);
  assert.deepEqual(JSON.parse(row.text), {
    predictions: [
      { y: 3, square: 4 },
      { y: 3.5, square: 9 },
      { y: 4, square: 16 },
    ],
  });
  const named = await predictHalf({ instances: [{ x: 2 }] }, "/v1/models/half/versions/3:predict");
  assert.deepEqual(JSON.parse(named.text), { predictions: [{ y: 3, square: 4 }] });
  const column = await predictHalf({ inputs: { x: [2, 4] } }, "/V1/Models/half:PREDICT");
  assert.deepEqual(JSON.parse(column.text), { outputs: { y: [3, 4], square: [4, 16] } });
  const sum = await predictHalf({ signature_name: "add", inputs: { a: [1], b: [2] } });
  assert.equal(compact(sum.text), '{"outputs":[3.0]}');
});

test("classify and regress take features and a context", async () => {
  const classified = await post(
    half,
    "/v1/models/half:classify",
    '{"signature_name": "classify_x", "context": {"x": 3.5}, "examples": [{"x": [2.5]}, {"other": "text"}]}',
  );
  assert.equal(compact(classified.text), '{"results":[[["even",3.25]],[["odd",3.75]]]}');
  const regressed = await post(
    half,
    "/v1/models/half:regress",
    '{"signature_name":"regress_x","examples":[{"x":4.5}]}',
  );
  assert.equal(compact(regressed.text), '{"results":[4.25]}');
  const errors = await Promise.all(
    [
      '{"examples": []}',
      '{"examples": {}}',
      "{}",
      '{"examples": [{"x": [1, 2.5]}]}',
      '{"examples": [{"x": null}]}',
      '{"examples": [{"x": 18446744073709551615}]}',
    ].map(async (body) => (await post(half, "/v1/models/half:classify", body)).status),
  );
  assert.deepEqual(errors, [400, 400, 400, 400, 400, 400]);
});

test("64-bit integers, special floats, bytes and booleans survive", async () => {
  assert.equal(
    await echoed("int64", '"instances": [9223372036854775807, -9223372036854775808]'),
    '{"predictions":[9223372036854775807,-9223372036854775808]}',
  );
  assert.equal(await echoed("uint64", '"inputs": [18446744073709551615]'), '{"outputs":[18446744073709551615]}');
  assert.equal(
    await echoed("float", '"inputs": [NaN, Infinity, -Infinity, -Inf, 1, -0.0, 0.1, 1e-7, 16777216]'),
    '{"outputs":[NaN,Infinity,-Infinity,-Infinity,1.0,-0.0,0.1,1e-07,16777216.0]}',
  );
  assert.equal(
    await echoed("double", '"inputs": [0.1, 3.141592653589793, 1e300]'),
    '{"outputs":[0.1,3.1415926535897931,1e+300]}',
  );
  assert.equal(
    await echoed("string", '"instances": [{"b64": "AP8="}, "text"]'),
    '{"predictions":[{"b64":"AP8="},{"b64":"dGV4dA=="}]}',
  );
  assert.equal(await echoed("bool", '"inputs": [[true, false]]'), '{"outputs":[[true,false]]}');
  assert.equal(
    await echoed("pair", '"instances": [{"float": [1], "int64": 2, "float": 9}]'),
    '{"predictions":[{"float":[1.0],"int64":2}]}',
  );
  assert.equal(await echoed("float", '"inputs": []} trailing'), '{"outputs":[]}');
});

test("values of other types, shapes and names are refused", async () => {
  assert.equal(await refused("int64", '"inputs": [2.0]'), "400 JSON Value: 2.0 is not of expected type: int64");
  assert.equal(await refused("float", '"inputs": ["a"]'), '400 JSON Value: "a" is not of expected type: float');
  assert.equal(await refused("bool", '"inputs": [1]'), "400 JSON Value: 1 is not of expected type: bool");
  assert.match(await refused("half", '"inputs": [1]'), /^501 /);
  assert.match(
    await refused("float", '"inputs": [[1, 2], [3]]'),
    /^400 Encountered list at unexpected size: 1 at level: 1/,
  );
  assert.match(await refused("float", '"inputs": [[1], 2]'), /^400 Expecting tensor size/);
  assert.match(await refused("float", '"instances": [1, [2]]'), /^400 Encountered list at unexpected level/);
  assert.equal(await refused("float", '"instances": []'), "400 No values in 'instances'");
  assert.match(await refused("float", '"instances": 3'), /^400 Expecting 'instances' value to be a list/);
  assert.equal(
    await refused("pair", '"instances": [{"float": 1}]'),
    "400 Failed to process element: the keys must be equal to: float,int64",
  );
  assert.match(await refused("pair", '"instances": [1]'), /^400 'instances' is a plain value\/list/);
  assert.match(
    await refused("pair", '"inputs": {"float": [1, 2], "int64": [1]}, "instances": [1]'),
    /^400 Expecting only one/,
  );
  assert.equal(await refused("float", '"x": 1'), "400 Missing 'inputs' or 'instances' key");
  assert.equal(await refused("none", '"inputs": 1'), '400 Serving signature name: "none" not found in signature def');
});

test("malformed JSON is refused with a text that says where", async () => {
  const error = async (body: string) => {
    const { status, text } = await post(echo, "/v1/models/echo:predict", body);
    return `${status} ${(JSON.parse(text) as { error: string }).error}`;
  };
  assert.match(await error(""), /^400 JSON Parse error: The document is empty/);
  assert.match(await error('{"instances": [1, 2'), /^400 JSON Parse error/);
  assert.match(await error('{"signature_name": "float", "inputs": [01]}'), /^400 JSON Parse error/);
  assert.match(await error('{"signature_name": 5, "inputs": [1]}'), /^400 'signature_name' key must be a string/);
  assert.match(await error("[1]"), /^400 Request body must be a JSON object/);
  const deep = `{"signature_name": "float", "inputs": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  assert.match(await error(deep), /^400 JSON Parse error: Lists and objects are nested too deep/);
});

test("status and metadata are protobuf JSON with default fields and original names", async () => {
  const status = await ask(half, "/v1/models/half");
  const ok = { error_code: "OK", error_message: "" };
  assert.deepEqual(JSON.parse(status.text), {
    model_version_status: [
      { version: "7", state: "AVAILABLE", status: ok },
      { version: "3", state: "AVAILABLE", status: ok },
    ],
  });
  const one = await ask(half, "/v1/models/half/versions/3");
  assert.equal((JSON.parse(one.text) as { model_version_status: unknown[] }).model_version_status.length, 1);
  const { text } = await ask(half, "/v1/models/half/metadata");
  const metadata = JSON.parse(text) as {
    model_spec: unknown;
    metadata: {
      signature_def: { signature_def: Record<string, { inputs: Record<string, unknown>; method_name: string }> };
    };
  };
  assert.deepEqual(metadata.model_spec, { name: "half", version: "7", signature_name: "" });
  assert.deepEqual(metadata.metadata.signature_def.signature_def["serving_default"]?.inputs["x"], {
    dtype: "DT_FLOAT",
    tensor_shape: { dim: [{ size: "-1", name: "" }], unknown_rank: false },
    name: "x:0",
  });
});

test("paths that are none, and models that are not there, have TensorFlow Serving's answers", async () => {
  const answers = await Promise.all(
    [
      "/",
      "/v1/models",
      "/v1/models/",
      "/v1/models/none",
      "/v1/models/half:predict",
      "/v1/models/half/versions/99999999999999999999",
    ].map(async (path) => {
      const { status, text } = await ask(half, path);
      return `${status} ${text.startsWith("{") ? (JSON.parse(text) as { error: string }).error : "page"}`;
    }),
  );
  assert.deepEqual(answers, [
    "404 page",
    "400 Missing model name in request.",
    "400 Malformed request: GET /v1/models/",
    "404 Could not find any versions of model none",
    "400 Malformed request: GET /v1/models/half:predict",
    "400 Failed to convert version: 99999999999999999999 to numeric.",
  ]);
  assert.equal((await post(half, "/v1/models/none:predict", '{"instances": [1]}')).status, 404);
  assert.equal((await post(half, "/v1/models/half/labels/old:predict", '{"instances": [1]}')).status, 400);
});

test("gzip bodies, cross-origin requests and metrics", async () => {
  const body = new Uint8Array(gzipSync('{"instances": [2]}'));
  const gzip = await post(half, "/v1/models/half:predict", body, { "content-encoding": "gzip" });
  assert.equal(gzip.status, 200);
  const broken = await post(half, "/v1/models/half:predict", body.slice(0, 10), { "content-encoding": "gzip" });
  assert.equal(broken.status, 400);
  const url = `http://127.0.0.1:${half.restAddress?.port}/v1/models/half`;
  const cors = await fetch(url, { method: "OPTIONS", headers: { origin: "https://page.example" } });
  assert.deepEqual([cors.status, cors.headers.get("access-control-allow-origin")], [200, "*"]);
  await cors.text();
  assert.equal((await ask(half, "/v1/models/half", { method: "OPTIONS" })).status, 400);
  assert.equal((await ask(echo, "/v1/models/echo", { method: "OPTIONS" })).status, 400);
  const { text } = await ask(half, "/monitoring/prometheus/metrics");
  assert.match(text, /^:tensorflow:serving:request_count\{model_name="half",status="OK"\} \d+$/m);
  assert.match(
    text,
    /:tensorflow:serving:request_latency_bucket\{model_name="half",API="Predict",entrypoint="REST",le="\+Inf"\}/,
  );
});

test("an answer that takes too long is 504, with TensorFlow Serving's form of errors", async (context) => {
  const begun = Promise.withResolvers<void>();
  const engine: Engine = {
    name: "slow",
    load: async (files) => {
      const servable = await elementwiseEngine().load(files);
      return { ...servable, run: (request) => begun.promise.then(() => servable.run(request)) };
    },
  };
  const models = [{ name: "half", version: 3, files: new Map<string, Uint8Array>() }];
  const slow = await startModelServer({ ...base, rest: { ...rest, timeoutMs: 20 }, models, engine });
  context.after(() => slow.close());
  const url = `http://127.0.0.1:${slow.restAddress?.port}/v1/models/half:predict`;
  const answer = await fetch(url, { method: "POST", body: '{"instances": [2]}' });
  begun.resolve();
  assert.deepEqual([answer.status, answer.headers.get("content-type")], [504, "application/json"]);
  assert.equal(await answer.text(), '{\n    "error": "Timed out waiting for the answer."\n}');
});

test("a label is followed, outputs without rows are refused, and an error quotes at most 256 bytes", async () => {
  half.registry.setLabels("half", new Map([["old one", 3n]]));
  const labelled = await predictHalf({ instances: [2] }, "/v1/models/half/labels/old%20one:predict");
  assert.deepEqual(JSON.parse(labelled.text), { predictions: [{ y: 3, square: 4 }] });
  const metadata = await ask(half, "/v1/models/half/labels/old%20one/metadata");
  half.registry.setLabels("half", new Map());
  assert.match(compact(metadata.text), /"version":"3"/);
  const tensor: Tensor = { dtype: "float", shape: [], data: Float32Array.of(1) };
  assert.throws(() => writePredictBody(new Map([["y", tensor]]), "row"), { code: "INVALID_ARGUMENT" });
  const uneven = new Map(
    [1, 2].map((rows) => [`y${rows}`, { ...tensor, shape: [rows], data: new Float32Array(rows) }]),
  );
  assert.throws(() => writePredictBody(uneven, "row"), { message: /inconsistent batch size/ });
  const quoted = /^400 JSON Value: "a{1,255} is not of expected type/;
  assert.match(await refused("float", `"inputs": ["${"a".repeat(1000)}"]`), quoted);
});

test("150,000 floats are read into one array", async () => {
  const numbers = Array.from({ length: 150_000 }, (_, index) => (index % 1000) / 256);
  const { text } = await post(
    echo,
    "/v1/models/echo:predict",
    JSON.stringify({ signature_name: "float", inputs: numbers }),
  );
  assert.deepEqual((JSON.parse(text) as { outputs: number[] }).outputs, numbers);
});

test("REST never starts in plaintext unasked, and has the client authentication of gRPC", async () => {
  const certificates = testCertificates();
  const models = [{ name: "half", version: 1, files: new Map<string, Uint8Array>() }];
  const plain = { host: "127.0.0.1", port: 0, insecure: true, rest, models, engine: elementwiseEngine() };
  await assert.rejects(
    startModelServer(plain),
    (error: unknown) => error instanceof ModelServerError && error.code === "PLAINTEXT_REFUSED",
  );
  const tls = { ...certificates.server, ca: certificates.ca, requireClientCertificate: true };
  const server = await startModelServer({ host: "127.0.0.1", port: 0, tls, rest, models, engine: elementwiseEngine() });
  const get = (identity: object) =>
    new Promise<number>((resolve) => {
      const options = { host: "127.0.0.1", port: server.restAddress?.port, path: "/v1/models/half", agent: false };
      httpsRequest({ ...options, ca: certificates.ca, ...identity }, (answer) => resolve(answer.statusCode ?? 0))
        .on("error", () => resolve(-1))
        .end();
    });
  assert.deepEqual([await get(certificates.client), await get({})], [200, -1]);
  await server.close({ graceMs: 100 });
});
