import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import { elementwiseEngine } from "@cloister/model-server/testing";
import { exampleInput } from "./examples.ts";
import { type Channel, createChannel, PredictClient } from "./index.ts";

let server: ModelServer;
let channel: Channel;

before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 7, files: new Map() }],
    engine: elementwiseEngine(),
  });
  channel = createChannel({ address: server.address, insecure: true });
});
after(async () => {
  await channel.close();
  await server.close();
});

const examples = [{ x: [2] }, { x: [3] }];

test("classify gives labels and scores for each example", async () => {
  const client = new PredictClient(channel);
  assert.deepEqual(await client.classify({ model: "half", signature: "classify_x", examples }), [
    [{ label: "even", score: 3 }],
    [{ label: "odd", score: 3.5 }],
  ]);
});

test("regress gives a value for each example, and features that all share go into the context", async () => {
  const client = new PredictClient(channel);
  const input = { model: "half", signature: "regress_x" };
  assert.deepEqual(await client.regress({ ...input, examples }), [3, 3.5]);
  assert.deepEqual(await client.regress({ ...input, examples: [{}, {}], context: { x: [2] } }), [3, 3]);
});

test("no examples at all are the server's error", async () => {
  const client = new PredictClient(channel);
  await assert.rejects(client.regress({ model: "half", signature: "regress_x", examples: [] }), {
    code: "INVALID_ARGUMENT",
  });
});

test("whole numbers, texts and bytes keep their kind", () => {
  const { kind } = exampleInput([{ i: [7n], t: ["a"], b: [Uint8Array.of(1)], none: [] }]);
  const feature = kind.case === "exampleList" ? kind.value.examples[0]?.features?.feature : undefined;
  const kinds = Object.entries(feature ?? {}).map(([name, value]) => [name, value.kind.case]);
  assert.deepEqual(Object.fromEntries(kinds), { i: "int64List", t: "bytesList", b: "bytesList", none: "bytesList" });
});
