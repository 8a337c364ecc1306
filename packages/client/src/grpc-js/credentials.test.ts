import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { PredictRequestSchema, type PredictResponse } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { GRPC_JS_PREDICT, testCertificates } from "@cloister/model-server/testing";
import { type ChannelCredentials, makeClientConstructor, type ServiceError } from "@grpc/grpc-js";
import { pinnedPolicy } from "../attested/pinned-policy.ts";
import { answerFor, MRENCLAVE, startGoodReplica, startRogueReplica, testPlatform } from "../testing/replicas.ts";
import { attestedCredentials } from "./credentials.ts";

// A stub as generators make it for grpc-js, with nothing but other credentials.

const PredictionServiceClient = makeClientConstructor(
  { predict: GRPC_JS_PREDICT },
  "tensorflow.serving.PredictionService",
);

const certificates = testCertificates();
const platform = testPlatform();
const anchors = [platform.trustAnchor];
const refusals: string[] = [];
const attestation = {
  anchors,
  policy: pinnedPolicy(Buffer.from(MRENCLAVE).toString("hex"), anchors),
  collateral: (quote: Uint8Array) => Promise.resolve(platform.collateralFor(quote)),
  onRefused: ({ code }: { readonly code: string }) => refusals.push(code),
};
const tls = { ca: certificates.ca, serverName: "server.test" };

function predict(port: number, credentials: ChannelCredentials): Promise<PredictResponse> {
  const stub = new PredictionServiceClient(`127.0.0.1:${port}`, credentials);
  const request = create(PredictRequestSchema, {
    modelSpec: { name: "half" },
    inputs: { x: { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 2n }] }, floatVal: [2, 4] } },
  });
  const call = stub["predict"];
  if (call === undefined) throw new TypeError("the stub has the method");
  return new Promise<PredictResponse>((resolve, reject) => {
    const done = (error: ServiceError | null, response: PredictResponse): void =>
      error === null ? resolve(response) : reject(error);
    call.call(stub, request, { deadline: Date.now() + 5000 }, done);
  }).finally(() => stub.close());
}

test("a grpc-js stub gets answers from a replica that passes", async () => {
  const server = await startGoodReplica(platform, certificates.server);
  const { outputs } = await predict(server.address.port, attestedCredentials(tls, attestation));
  assert.deepEqual(outputs["y"]?.floatVal, [3, 4]);
  assert.deepEqual(refusals, []);
  await server.close();
});

test("a grpc-js stub sends no byte to a rogue replica, and the caller can see why", async () => {
  const own = testPlatform();
  const rogue = await startRogueReplica(certificates.server, (binding) => Promise.resolve(answerFor(own, binding)));
  await assert.rejects(predict(rogue.port, attestedCredentials(tls, attestation)), { code: 14 });
  assert.ok(refusals.length > 0 && refusals.every((code) => code === "PCK_CHAIN_ROOT_NOT_TRUSTED"));
  assert.equal(rogue.decrypted().length, refusals.length * 38, "challenges only");
  await rogue.close();
});
