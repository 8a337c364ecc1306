import assert from "node:assert/strict";
import { test } from "node:test";
import { GRPC_PREFIX_LENGTH, writeGrpcPrefix } from "@cloister/encoding/grpc";
import { GrpcMessageAssembler } from "@cloister/encoding/grpc-message-assembler";
import { PredictRequestSchema, PredictResponseSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { credentials } from "@grpc/grpc-js";
import { startModelServer } from "../index.ts";
import { GrpcJsClient } from "../testing/grpc-js-client.ts";
import { elementwiseEngine } from "../testing/index.ts";
import { MemoryPool } from "../memory-pool.ts";

const KIB = 1024;

test("memory is given out again for messages of about its size, and held up to a limit", () => {
  const pool = new MemoryPool(300 * KIB);
  const first = pool.take(100 * KIB);
  assert.notEqual(pool.take(100 * KIB), first);
  pool.give(first);
  assert.notEqual(pool.take(200 * KIB), first);
  assert.equal(pool.take(90 * KIB), first);
  for (let count = 0; count < 5; count++) pool.give(new ArrayBuffer(128 * KIB));
  assert.equal(pool.freeBytes, 256 * KIB);
  pool.give(pool.take(KIB));
  assert.equal(pool.freeBytes, 256 * KIB);
});

function receive(pool: MemoryPool, fill: number, length: number): GrpcMessageAssembler {
  const frame = new Uint8Array(GRPC_PREFIX_LENGTH + length).fill(fill);
  writeGrpcPrefix(frame);
  const assembler = new GrpcMessageAssembler(2 ** 30, pool);
  for (let at = 0; at < frame.length; at += 16_000) assembler.push(frame.subarray(at, at + 16_000));
  return assembler;
}

test("a message in used memory has its own bytes only, and memory that it outgrew comes back", () => {
  const pool = new MemoryPool();
  for (const [fill, length] of [
    [1, 600 * KIB],
    [2, 600 * KIB - 3],
    [3, 9 * KIB * KIB],
    [4, 5000],
  ] as const) {
    const assembler = receive(pool, fill, length);
    const { bytes } = assembler.finish();
    assert.equal(bytes.length, length);
    assert.ok(bytes.every((byte) => byte === fill));
    assembler.release();
  }
  assert.ok(pool.freeBytes > 9 * KIB * KIB);
});

test("large requests that cross on a server each get their own answer", async (context) => {
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(5),
  });
  const client = new GrpcJsClient(server.address.port, credentials.createInsecure());
  context.after(async () => {
    client.close();
    await server.close({ graceMs: 0 });
  });
  const length = 40_000;
  const call = async (value: number): Promise<void> => {
    const floats = new Float32Array(length + (value % 3)).fill(value);
    const tensor = {
      dtype: DataType.DT_FLOAT,
      tensorShape: { dim: [{ size: BigInt(floats.length) }] },
      tensorContent: new Uint8Array(floats.buffer),
    };
    const { message, details } = await client.call(
      "/tensorflow.serving.PredictionService/Predict",
      PredictRequestSchema,
      PredictResponseSchema,
      { modelSpec: { name: "half" }, inputs: { x: tensor }, outputFilter: ["y"] },
    );
    const answer = message?.outputs["y"]?.floatVal ?? assert.fail(details);
    assert.ok(answer.length === floats.length && answer.every((each) => each === value / 2 + 2));
  };
  for (let round = 0; round < 4; round++) {
    await Promise.all(Array.from({ length: 8 }, (_, index) => call(8 * round + index)));
  }
});
