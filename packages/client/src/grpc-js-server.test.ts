import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import {
  type PredictRequest,
  type PredictResponse,
  PredictResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { type handleUnaryCall, Server, ServerCredentials, status } from "@grpc/grpc-js";
import { GRPC_JS_PREDICT, testCertificates } from "@cloister/model-server/testing";
import { ClientError, createChannel, PredictClient } from "./index.ts";

// Our client against the official implementation of a server, whose handlers use the generated code.

const certificates = testCertificates();
const server = new Server();
let port = 0;

const predict: handleUnaryCall<PredictRequest, PredictResponse> = (call, callback) => {
  const input = call.request.inputs["x"];
  if (call.request.modelSpec?.name === "busy") {
    callback({ code: status.RESOURCE_EXHAUSTED, details: "zu viele Anfragen: 100 % größer" });
  } else if (input === undefined) callback({ code: status.INVALID_ARGUMENT, details: "no x" });
  else {
    callback(
      null,
      create(PredictResponseSchema, {
        outputs: {
          echo: input,
          more: { dtype: DataType.DT_INT64, tensorShape: { dim: [{ size: 2n }] }, int64Val: [-7n] },
        },
        modelSpec: { name: "echo", versionChoice: { case: "version", value: { value: 3n } } },
      }),
    );
  }
};

before(async () => {
  server.addService({ Predict: GRPC_JS_PREDICT }, { Predict: predict });
  const { key, cert } = certificates.server;
  const credentials = ServerCredentials.createSsl(
    Buffer.from(certificates.ca),
    [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }],
    true,
  );
  port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
});

after(() => server.forceShutdown());

test("predictions and errors of a grpc-js server are read", async () => {
  const tls = { ca: certificates.ca, ...certificates.client, serverName: "server.test" };
  const channel = createChannel({ address: { host: "127.0.0.1", port }, tls });
  const client = new PredictClient(channel);
  const x = { dtype: "float", shape: [200_000], data: new Float32Array(200_000).fill(0.5) } as const;
  const { outputs, model, replica } = await client.predict({ model: "echo", inputs: new Map([["x", x]]) });
  assert.deepEqual(outputs.get("echo"), x);
  assert.deepEqual(outputs.get("more")?.data, BigInt64Array.of(-7n, -7n));
  assert.equal(model?.version, 3n);
  assert.equal(replica, undefined);
  await assert.rejects(client.predict({ model: "busy", inputs: new Map() }), (error: unknown) => {
    assert.ok(error instanceof ClientError);
    assert.deepEqual([error.code, error.explanation.what], ["RESOURCE_EXHAUSTED", "zu viele Anfragen: 100 % größer"]);
    return true;
  });
  await assert.rejects(client.status({ model: "echo" }), { code: "UNIMPLEMENTED" });
  await channel.close();
});
