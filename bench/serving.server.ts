import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import {
  type PredictRequest,
  PredictRequestSchema,
  type PredictResponse,
  PredictResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { GRPC_PREFIX_LENGTH, writeGrpcPrefix } from "@cloister/encoding/grpc";
import { writePredictResponse } from "@cloister/encoding/tensor-proto";
import { startModelServer } from "@cloister/model-server";
import type { Engine } from "@cloister/model-server/engine";
import { testCertificates } from "@cloister/model-server/testing";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { startFloor } from "./clients/serving-floor.ts";

// One server in its own process, whose model answers 1,001 constant scores: what is measured is the front end alone.

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

async function startOurs(): Promise<number> {
  const models = [{ name: "resnet", version: 1, files: new Map<string, Uint8Array>() }];
  const server = await startModelServer({ host: "127.0.0.1", port: 0, tls: certificates.server, models, engine });
  return server.address.port;
}

function startGrpcJs(): Promise<number> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const floatVal = [...scores];
  const definition = {
    path: "/tensorflow.serving.PredictionService/Predict",
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: PredictRequest) => Buffer.from(toBinary(PredictRequestSchema, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(PredictRequestSchema, bytes),
    responseSerialize: (message: PredictResponse) => Buffer.from(toBinary(PredictResponseSchema, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(PredictResponseSchema, bytes),
  } as const;
  const predict = (_call: unknown, callback: (error: null, response: PredictResponse) => void): void => {
    const tensorShape = { dim: [{ size: 1n }, { size: 1001n }] };
    const outputs = { predict: { dtype: DataType.DT_FLOAT, tensorShape, floatVal } };
    callback(null, create(PredictResponseSchema, { outputs, modelSpec: { name: "resnet" } }));
  };
  server.addService({ Predict: definition }, { Predict: predict });
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
  ours: startOurs,
  "grpc-js": startGrpcJs,
  floor: () => startFloor(certificates.server, constantAnswer()),
};
const port = await START[process.argv[2] as keyof typeof START]();
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000 });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port, ca: certificates.ca });
