import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as http2Connect, type IncomingHttpHeaders } from "node:http2";
import { connect, type TLSSocket } from "node:tls";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { frameGrpcMessage } from "@cloister/encoding/grpc";
import { PredictRequestSchema, PredictResponseSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { credentials } from "@grpc/grpc-js";
import type { Engine, Servable } from "./engine/engine.ts";
import { isLate } from "./errors.ts";
import { type ModelServerOptions, ModelServerError, startModelServer } from "./index.ts";
import { GrpcJsClient } from "./testing/grpc-js-client.ts";
import { elementwiseEngine, testCertificates } from "./testing/index.ts";

const certificates = testCertificates();
const base: ModelServerOptions = {
  host: "127.0.0.1",
  port: 0,
  models: [{ name: "half", version: 1, files: new Map() }],
  engine: elementwiseEngine(),
};
const hasCode = (code: string) => (error: unknown) => error instanceof ModelServerError && error.code === code;

const predictOnce = (client: GrpcJsClient, options = {}) =>
  client.call(
    "/tensorflow.serving.PredictionService/Predict",
    PredictRequestSchema,
    PredictResponseSchema,
    { modelSpec: { name: "half" }, inputs: { x: { dtype: DataType.DT_FLOAT, floatVal: [2] } } },
    options,
  );

test("a server without TLS starts only when it is told so, and never with both", async () => {
  await assert.rejects(startModelServer(base), hasCode("PLAINTEXT_REFUSED"));
  const both = { ...base, tls: certificates.server, insecure: true };
  await assert.rejects(startModelServer(both), hasCode("PLAINTEXT_REFUSED"));
  const server = await startModelServer({ ...base, insecure: true });
  const client = new GrpcJsClient(server.address.port, credentials.createInsecure());
  assert.equal((await predictOnce(client)).code, "OK");
  client.close();
  await server.close();
});

test("a key that does not belong to the certificate, and mutual TLS without an authority, are refused", async () => {
  const mixed = { key: certificates.client.key, cert: certificates.server.cert };
  await assert.rejects(startModelServer({ ...base, tls: mixed }), hasCode("TLS_MATERIAL_INVALID"));
  const noCa = { ...certificates.server, requireClientCertificate: true };
  await assert.rejects(startModelServer({ ...base, tls: noCa }), hasCode("TLS_MATERIAL_INVALID"));
});

test("a model that does not load keeps the server from starting", async () => {
  const models = [{ name: "half", version: 1, files: new Map([["fail", new Uint8Array(0)]]) }];
  await assert.rejects(startModelServer({ ...base, insecure: true, models }), hasCode("MODEL_NOT_AVAILABLE"));
});

test("mutual TLS answers a client with a certificate and cuts off one without", async () => {
  const tls = { ...certificates.server, ca: certificates.ca, requireClientCertificate: true };
  const server = await startModelServer({ ...base, tls });
  const ca = Buffer.from(certificates.ca);
  const { key, cert } = certificates.client;
  const known = new GrpcJsClient(server.address.port, credentials.createSsl(ca, Buffer.from(key), Buffer.from(cert)));
  assert.equal((await predictOnce(known)).code, "OK");
  const unknown = new GrpcJsClient(server.address.port, credentials.createSsl(ca));
  assert.equal((await predictOnce(unknown, { deadline: Date.now() + 60_000 })).code, "UNAVAILABLE");
  const foreign = testCertificates().client;
  const foreignCredentials = credentials.createSsl(ca, Buffer.from(foreign.key), Buffer.from(foreign.cert));
  const stranger = new GrpcJsClient(server.address.port, foreignCredentials);
  assert.equal((await predictOnce(stranger, { deadline: Date.now() + 60_000 })).code, "UNAVAILABLE");
  for (const client of [known, unknown, stranger]) client.close();
  await server.close();
});

function handshake(port: number, options: { maxVersion: "TLSv1.1" | "TLSv1.2" }): Promise<string> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      host: "127.0.0.1",
      port,
      ca: certificates.ca,
      minVersion: "TLSv1",
      ciphers: "DEFAULT:@SECLEVEL=0",
      ALPNProtocols: ["h2"],
      ...options,
    });
    socket.on("secureConnect", () => {
      resolve(socket.getProtocol() ?? "none");
      socket.destroy();
    });
    socket.on("error", () => resolve("refused"));
  });
}

test("TLS 1.2 is the oldest version that is spoken", async () => {
  const server = await startModelServer({ ...base, tls: certificates.server });
  assert.equal(await handshake(server.address.port, { maxVersion: "TLSv1.2" }), "TLSv1.2");
  assert.equal(await handshake(server.address.port, { maxVersion: "TLSv1.1" }), "refused");
  await server.close();
});

test("a PEM whose base64 is one line is accepted, as cluster scripts write it", async () => {
  const oneLine = (pem: string) =>
    pem.replace(
      /(-----BEGIN [A-Z ]+-----)([\s\S]+?)(-----END)/g,
      (_all, begin: string, body: string, end: string) => `${begin}\n${body.replaceAll("\n", "")}\n${end}`,
    );
  const tls = { key: oneLine(certificates.server.key), cert: oneLine(certificates.server.cert) };
  const server = await startModelServer({ ...base, tls });
  await server.close();
});

test("RSA keys serve and identify clients like those of elliptic curves", async () => {
  const rsa = testCertificates("rsa");
  const tls = { ...rsa.server, ca: rsa.ca, requireClientCertificate: true };
  const server = await startModelServer({ ...base, tls });
  const [ca, key, cert] = [rsa.ca, rsa.client.key, rsa.client.cert].map((pem) => Buffer.from(pem));
  const client = new GrpcJsClient(server.address.port, credentials.createSsl(ca, key, cert));
  assert.equal((await predictOnce(client)).code, "OK");
  client.close();
  await server.close();
});

test("health is off and outputs are tensor_content where that is asked for", async (context) => {
  const options = { hasHealthService: false, outputEncoding: "content" as const };
  const server = await startModelServer({ ...base, ...options, insecure: true });
  const client = new GrpcJsClient(server.address.port, credentials.createInsecure());
  context.after(() => {
    client.close();
    return server.close();
  });
  const check = "/grpc.health.v1.Health/Check";
  assert.equal(
    (await client.call(check, HealthCheckRequestSchema, HealthCheckResponseSchema, {})).code,
    "UNIMPLEMENTED",
  );
  const { y } = (await predictOnce(client)).message?.outputs ?? {};
  assert.deepEqual([y?.floatVal, y?.tensorContent], [[], Buffer.from(Float32Array.of(3).buffer)]);
});

test("a deadline that passes is answered, and the call's end is told", async () => {
  const ended: string[] = [];
  const server = await startModelServer({
    ...base,
    insecure: true,
    engine: elementwiseEngine(500),
    onCallEnd: ({ path, status }) => ended.push(`${path} ${status}`),
  });
  const client = new GrpcJsClient(server.address.port, credentials.createInsecure());
  const { code } = await predictOnce(client, { deadline: Date.now() + 100 });
  assert.equal(code, "DEADLINE_EXCEEDED");
  client.close();
  await server.close({ graceMs: 100 });
  assert.equal(ended.length, 1);
});

test("a model can tell a deadline that passes from a client that leaves", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const slow = elementwiseEngine(500);
  const load: Engine["load"] = async (files) => {
    const servable = await slow.load(files);
    const run: Servable["run"] = (request) => {
      signals.push(request.signal);
      return servable.run(request);
    };
    return { ...servable, run };
  };
  const server = await startModelServer({ ...base, insecure: true, engine: { ...slow, load } });
  // A client without a clock of its own: one that has a deadline too resets the stream at that moment.
  const session = http2Connect(`http://127.0.0.1:${server.address.port}`);
  const call = session.request({
    ":method": "POST",
    ":path": "/tensorflow.serving.PredictionService/Predict",
    "content-type": "application/grpc",
    "grpc-timeout": "250m",
  });
  const inputs = { x: { dtype: DataType.DT_FLOAT, floatVal: [2] } };
  const request = create(PredictRequestSchema, { modelSpec: { name: "half" }, inputs });
  call.end(frameGrpcMessage(toBinary(PredictRequestSchema, request)));
  const [headers] = (await once(call, "response")) as [IncomingHttpHeaders];
  assert.equal(headers["grpc-status"], "4");
  session.destroy();
  await server.close({ graceMs: 100 });
  assert.ok(signals.length === 1 && signals.every(isLate));
});

test("closing lets a running call end and takes no new connection", async () => {
  const begun = Promise.withResolvers<void>();
  const server = await startModelServer({
    ...base,
    insecure: true,
    engine: elementwiseEngine(300, () => begun.resolve()),
  });
  const client = new GrpcJsClient(server.address.port, credentials.createInsecure());
  const running = predictOnce(client);
  await begun.promise;
  const closed = server.close();
  assert.equal((await running).code, "OK");
  await closed;
  assert.equal((await predictOnce(client, { deadline: Date.now() + 500 })).code === "OK", false);
  client.close();
});
