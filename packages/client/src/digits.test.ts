import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startModelServer } from "@cloister/model-server";
import { OnnxEngine } from "@cloister/model-server/engine";
import { testCertificates } from "@cloister/model-server/testing";
import { createChannel, imageToTensor, PredictClient, topK } from "./index.ts";

// The whole way of a request: PNG file, tensor, mutual TLS, real SavedModel on the real engine, answer of real TensorFlow.

const DIGITS = join(import.meta.dirname, "../../../examples/digits");
const golden = JSON.parse(readFileSync(join(DIGITS, "golden.json"), "utf8")) as { probabilities: number[][] };
const certificates = testCertificates();

function readModel(): ReadonlyMap<string, Uint8Array> {
  const root = join(DIGITS, "saved_model");
  const paths = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [path.slice(root.length + 1), new Uint8Array(readFileSync(path))]));
}

test("pictures of digits sent over mutual TLS get the answers of real TensorFlow", async () => {
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: { ...certificates.server, ca: certificates.ca, requireClientCertificate: true },
    models: [{ name: "digits", version: 1, files: readModel() }],
    engine: new OnnxEngine({ execution: "worker" }),
  });
  const tls = { ca: certificates.ca, ...certificates.client, serverName: "server.test" };
  const channel = createChannel({ address: server.address, tls });
  const client = new PredictClient(channel);
  for (let index = 0; index < 20; index++) {
    const png = readFileSync(join(DIGITS, `images/${String(index).padStart(3, "0")}.png`));
    const input = await imageToTensor(png, { width: 8, height: 8, channels: "grayscale" });
    const { outputs } = await client.predict({ model: "digits", inputs: new Map([["input", input]]) });
    const scores = outputs.get("predict") ?? assert.fail();
    const expected = golden.probabilities[index] ?? assert.fail();
    const [best] = topK(scores, 1)[0] ?? [];
    assert.equal(best?.index, expected.indexOf(Math.max(...expected)));
    expected.forEach((value, column) => assert.ok(Math.abs(Number(scores.data[column]) - value) < 1e-5));
  }
  await channel.close();
  await server.close();
});
