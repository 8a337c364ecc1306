import assert from "node:assert/strict";
import { connect } from "node:http2";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import {
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "@cloister/encoding/gen/grpc/reflection/v1/reflection_pb";
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { type ModelServer, type ModelServerOptions, startModelServer } from "../index.ts";
import { elementwiseEngine } from "../testing/index.ts";
import { readChannelArguments } from "./connection-care.ts";

const base: ModelServerOptions = {
  host: "127.0.0.1",
  port: 0,
  insecure: true,
  models: [{ name: "half", version: 1, files: new Map() }],
  engine: elementwiseEngine(),
};

/** A server that is closed with its test, however that ends. */
async function start(context: TestContext, options: Partial<ModelServerOptions> = {}): Promise<ModelServer> {
  const server = await startModelServer({ ...base, ...options });
  context.after(() => server.close({ graceMs: 0 }));
  return server;
}

function duplex(
  server: ModelServer,
  path: string,
): { client: Client; stream: ClientDuplexStream<Uint8Array, Uint8Array> } {
  const client = new Client(`127.0.0.1:${server.address.port}`, credentials.createInsecure());
  const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  return { client, stream: client.makeBidiStreamRequest(path, asIs, (bytes: Buffer) => new Uint8Array(bytes)) };
}

async function reflect(server: ModelServer, ...requests: Uint8Array[]): Promise<ServerReflectionResponse[]> {
  const { client, stream } = duplex(server, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  for (const request of requests) stream.write(request);
  stream.end();
  const answers: ServerReflectionResponse[] = [];
  for await (const bytes of stream) answers.push(fromBinary(ServerReflectionResponseSchema, bytes as Uint8Array));
  client.close();
  return answers;
}

const ask = (messageRequest: Parameters<typeof create<typeof ServerReflectionRequestSchema>>[1]) =>
  toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, messageRequest));

test("reflection lists the services, and its files describe Predict whole; it is off unless it is asked for", async (context) => {
  const server = await start(context, { hasReflection: true });
  const [services, files, missing] = await reflect(
    server,
    ask({ messageRequest: { case: "listServices", value: "" } }),
    ask({ messageRequest: { case: "fileContainingSymbol", value: "tensorflow.serving.PredictionService" } }),
    ask({ messageRequest: { case: "fileContainingSymbol", value: "no.such.Service" } }),
  );
  const listed = services?.messageResponse;
  assert.deepEqual(listed?.case === "listServicesResponse" && listed.value.service.map(({ name }) => name), [
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
  ]);
  const described = files?.messageResponse;
  assert.ok(described?.case === "fileDescriptorResponse");
  const file = described.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }));
  const service = registry.getService("tensorflow.serving.PredictionService");
  assert.equal(service?.method["predict"]?.input.field["inputs"]?.fieldKind, "map");
  assert.equal(missing?.messageResponse.case === "errorResponse" && missing.messageResponse.value.errorCode, 5);
  await assert.rejects(reflect(await start(context)), { code: 12 });
});

test("health is watched: SERVING at once, NOT_SERVING when the server drains, which it does without waiting for watchers", async (context) => {
  const server = await start(context);
  const { client, stream } = duplex(server, "/grpc.health.v1.Health/Watch");
  stream.write(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)));
  stream.end();
  const seen: number[] = [];
  let closed: Promise<void> | undefined;
  for await (const bytes of stream) {
    seen.push(fromBinary(HealthCheckResponseSchema, bytes as Uint8Array).status);
    closed ??= server.close({ graceMs: 600_000 });
  }
  await closed;
  assert.deepEqual(seen, [1, 2]);
  client.close();
});

test("a Unix socket answers beside the port, and one that was left behind is replaced", async (context) => {
  const socketPath = join(tmpdir(), `cloister-socket-${process.pid}.sock`);
  const first = await start(context, { socketPath });
  await assert.rejects(startModelServer({ ...base, socketPath }), { code: "LISTEN_FAILED" });
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  const status = await new Promise<number | undefined>((resolve) => {
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes).status,
      new Uint8Array(0),
      (_error, value) => resolve(value),
    );
  });
  assert.equal(status, 1);
  client.close();
  await first.close();
  await rm(socketPath, { force: true });
});

test("old and unused connections are told to go away", async (context) => {
  for (const care of [{ maxAgeMs: 50 }, { maxIdleMs: 50 }, { maxAgeMs: 50, maxAgeGraceMs: 1 }]) {
    const server = await start(context, { connectionCare: care });
    const session = connect(`http://127.0.0.1:${server.address.port}`);
    await new Promise((resolve) => {
      session.on("close", resolve);
    });
  }
});

test("channel arguments are read under gRPC's names, and others are told", () => {
  const text = "grpc.max_connection_age_ms=2000,grpc.keepalive_time_ms=10,grpc.max_receive_message_length=-1,grpc.lb=x";
  const { care, maxMessageBytes, ignored } = readChannelArguments(text);
  assert.deepEqual([care, maxMessageBytes, ignored], [{ maxAgeMs: 2000, keepaliveMs: 10 }, 2 ** 31 - 1, ["grpc.lb"]]);
  for (const bad of ["grpc.max_connection_age_ms", "a=b=c", "grpc.keepalive_time_ms=soon"]) {
    assert.throws(() => readChannelArguments(bad), { code: "INVALID_ARGUMENT" });
  }
});
