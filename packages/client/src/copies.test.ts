import assert from "node:assert/strict";
import { test } from "node:test";
import { startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import { createChannel, PredictClient, predictFrame } from "./index.ts";

const ELEMENTS = 1 << 20;
const x = { dtype: "float", shape: [ELEMENTS], data: new Float32Array(ELEMENTS).fill(0.5) } as const;
const input = { model: "half", inputs: new Map([["x", x]]), outputs: ["y"] };

test("a typed array goes into the request's frame and nowhere else on its way", () => {
  predictFrame(input);
  const before = process.memoryUsage().arrayBuffers;
  const frame = predictFrame(input);
  const taken = process.memoryUsage().arrayBuffers - before;
  assert.ok(frame.length > x.data.byteLength);
  // The collector may give memory back meanwhile; a second copy would take as much again.
  assert.ok(taken < 1.5 * x.data.byteLength, `${taken} bytes for ${frame.length}`);
});

test("a typed array comes out as a view of the message that came in", async () => {
  const certificates = testCertificates();
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
  });
  const channel = createChannel({ address: server.address, tls: { ca: certificates.ca, serverName: "server.test" } });
  // Names and versions of any length: the message is laid out so that its tensor is aligned.
  for (const signature of ["serving_default", ""]) {
    const frame = predictFrame({ ...input, signature });
    const sent = frame.slice();
    const { message } = await channel.call({ path: "/tensorflow.serving.PredictionService/Predict", frame });
    assert.deepEqual(frame, sent);
    const { outputs } = await new PredictClient({
      call: () => Promise.resolve({ message, replica: undefined }),
      close: () => Promise.resolve(),
    }).predictFrame(frame);
    const data = outputs.get("y")?.data;
    assert.ok(data instanceof Float32Array && data.length === ELEMENTS && data[0] === 2.25);
    assert.equal(data.buffer, message.buffer);
  }
  await Promise.all([channel.close(), server.close()]);
});
