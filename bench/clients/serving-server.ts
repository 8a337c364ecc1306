import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { create } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { type PredictResponse, PredictResponseSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { GRPC_PREFIX_LENGTH, writeGrpcPrefix } from "@cloister/encoding/grpc";
import { writePredictResponse } from "@cloister/encoding/tensor-proto";
import { startModelServer } from "@cloister/model-server";
import { type Engine, OnnxEngine } from "@cloister/model-server/engine";
import { GRPC_JS_PREDICT, testCertificates } from "@cloister/model-server/testing";
import { importFrozenGraph, type ModelFiles } from "@cloister/saved-model";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { startHttp2Floor, startTlsFloor } from "./serving-floor.ts";

// One server in a process of its own: node bench/clients/serving-server.ts KIND [FROZEN THREADS]. With "model" it serves a frozen
// graph. The model of the others answers 1,001 constant scores: what is measured is the front end alone. Prints {port, ca};
// answers each line on standard input with {cpuMs}.

const certificates = testCertificates();
const scores = new Float32Array(1001).fill(1 / 1001);

const engine: Engine = {
  name: "constant",
  load: async () => ({
    signatures: new Map([
      [
        "serving_default",
        {
          methodName: "tensorflow/serving/predict",
          inputs: new Map([["input", { name: "input:0", dtype: "float", shape: undefined } as const]]),
          outputs: new Map([["predict", { name: "predict:0", dtype: "float", shape: [1, 1001] } as const]]),
        },
      ],
    ]),
    unsupported: new Map(),
    run: async () => new Map([["predict", { dtype: "float", shape: [1, 1001], data: scores } as const]]),
    close: async () => undefined,
  }),
};

async function startOurs(by: Engine, files: ModelFiles): Promise<number> {
  const models = [{ name: "resnet", version: 1, files }];
  const server = await startModelServer({ host: "127.0.0.1", port: 0, tls: certificates.server, models, engine: by });
  return server.address.port;
}

async function startModel(): Promise<number> {
  const [, , , frozen = "", threads = "0"] = process.argv;
  const { files } = importFrozenGraph(new Uint8Array(await readFile(frozen)));
  return startOurs(new OnnxEngine({ threads: Number(threads), execution: "worker" }), files);
}

function startGrpcJs(): Promise<number> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const floatVal = [...scores];
  const predict = (_call: unknown, callback: (error: null, response: PredictResponse) => void): void => {
    const tensorShape = { dim: [{ size: 1n }, { size: 1001n }] };
    const outputs = { predict: { dtype: DataType.DT_FLOAT, tensorShape, floatVal } };
    callback(null, create(PredictResponseSchema, { outputs, modelSpec: { name: "resnet" } }));
  };
  server.addService({ Predict: GRPC_JS_PREDICT }, { Predict: predict });
  const { key, cert } = certificates.server;
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) };
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createSsl(null, [pair]), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

/** A message that our own server would answer with. */
function constantAnswer(): Uint8Array {
  const outputs = new Map([["predict", { dtype: "float", shape: [1, 1001], data: scores } as const]]);
  const model = { name: "resnet", version: 1n, signatureName: "serving_default" };
  const frame = writePredictResponse({ model, outputs }, "values", GRPC_PREFIX_LENGTH);
  writeGrpcPrefix(frame);
  return frame;
}

const START = {
  ours: () => startOurs(engine, new Map()),
  model: startModel,
  "grpc-js": startGrpcJs,
  floor: () => startHttp2Floor(certificates.server, constantAnswer()),
  tls: () => startTlsFloor(certificates.server, constantAnswer()),
};
const port = await START[process.argv[2] as keyof typeof START]();
console.log(JSON.stringify({ port, ca: certificates.ca }));
for await (const _line of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ cpuMs: (user + system) / 1000 }));
}
process.exit(0);
