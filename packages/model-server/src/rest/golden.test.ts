import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OnnxEngine } from "../engine/index.ts";
import { LATEST_VERSION, type ModelServer, startModelServer } from "../index.ts";

const NAME = "saved_model_half_plus_two_2_versions";
const ROOT = join(import.meta.dirname, "../../../..");
const models = join(ROOT, "packages/saved-model/test-models/tfserving");

let server: ModelServer;

before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    insecureRest: true,
    rest: { host: "127.0.0.1", port: 0 },
    models: [],
    folders: {
      models: [
        { name: NAME, basePath: join(models, NAME), policy: { kind: "all" }, labels: new Map() },
        {
          name: "tf2",
          basePath: join(models, "saved_model_half_plus_two_tf2_cpu"),
          policy: LATEST_VERSION,
          labels: new Map(),
        },
      ],
      pollMs: 0,
      retries: { maxRetries: 0, intervalMs: 0 },
    },
    engine: new OnnxEngine({ threads: 1 }),
  });
});

after(() => server.close());

async function ask(path: string, body?: unknown): Promise<unknown> {
  const url = `http://127.0.0.1:${server.restAddress?.port}/v1/models/${path}`;
  const answer = await fetch(url, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
  return answer.json();
}

/** Keys and lists in order: protobuf's maps have none. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map(sorted).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}

test("metadata of a real model equal TensorFlow Serving's golden file", async () => {
  const golden: unknown = JSON.parse(
    readFileSync(join(ROOT, `packages/model-server/test-data/${NAME}_metadata.json`), "utf8"),
  );
  assert.deepEqual(sorted(await ask(`${NAME}/versions/123/metadata`)), sorted(golden));
});

test("metadata of a TensorFlow 2 model tell its initialisation, which cannot be run", async () => {
  const { metadata } = (await ask("tf2/metadata")) as {
    metadata: { signature_def: { signature_def: Record<string, unknown> } };
  };
  const tensor_shape = { dim: [], unknown_rank: true };
  assert.deepEqual(metadata.signature_def.signature_def["__saved_model_init_op"], {
    inputs: {},
    outputs: { __saved_model_init_op: { dtype: "DT_INVALID", tensor_shape, name: "NoOp" } },
    method_name: "",
    defaults: {},
  });
  assert.deepEqual(await ask("tf2:predict", { signature_name: "__saved_model_init_op", inputs: 1 }), {
    error: 'Serving signature name: "__saved_model_init_op" not found in signature def',
  });
});

test("without a monitoring configuration there are no metrics", async () => {
  const { status } = await fetch(`http://127.0.0.1:${server.restAddress?.port}/monitoring/prometheus/metrics`);
  assert.equal(status, 404);
});

for (const name of [NAME, "tf2"]) {
  test(`predict, classify and regress with tf.Examples on ${name}`, async () => {
    assert.deepEqual(await ask(`${name}:predict`, { instances: [2, 3, 4] }), { predictions: [3, 3.5, 4] });
    const examples = [{ x: 2.5 }, { x: 4 + 0.5 }];
    const regressed = await ask(`${name}:regress`, { signature_name: "regress_x_to_y", examples });
    assert.deepEqual(regressed, { results: [3.25, 4.25] });
    const classified = await ask(`${name}:classify`, { signature_name: "classify_x_to_y", examples });
    assert.deepEqual(classified, { results: [[["", 3.25]], [["", 4.25]]] });
    const toFloats = { signature_name: name === NAME ? "regress_x2_to_y3" : "classify_x2_to_y3", examples };
    const verb = name === NAME ? "regress" : "classify";
    const { error } = (await ask(`${name}:${verb}`, toFloats)) as { error?: string };
    assert.match(error ?? "", /float/);
  });
}
