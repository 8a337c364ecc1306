import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EXIT } from "../../output/exit-code.ts";
import { run } from "../../program.ts";

const ROOT = join(import.meta.dirname, "../../../../..");
/** A graph with the nodes `input` and `predict`, and one with `x` and `output_0`. */
const DIGITS = join(ROOT, "examples/digits/frozen/digits.pb");
const SOFTMAX = join(ROOT, "packages/saved-model/test-models/ops/softmax.pb");

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "model-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** The JSON document that a command prints. */
async function json(t: TestContext, args: readonly string[]): Promise<Record<string, unknown>> {
  let text = "";
  const { mock } = t.mock.method(process.stdout, "write", (chunk: string) => {
    text += chunk;
    return true;
  });
  const code = await run([...args, "--json"]);
  mock.restore();
  assert.equal(code, EXIT.done);
  return JSON.parse(text) as Record<string, unknown>;
}

interface Signatures {
  readonly serving_default: {
    readonly inputs: Record<string, { readonly name: string }>;
    readonly outputs: Record<string, { readonly name: string }>;
  };
}

async function tensorsOf(t: TestContext, folder: string): Promise<{ inputs: unknown; outputs: unknown }> {
  const { signatures, runnable } = await json(t, ["model", "inspect", folder]);
  assert.equal(runnable, true);
  const { inputs, outputs } = (signatures as Signatures).serving_default;
  const names = (map: Signatures["serving_default"]["inputs"]): Record<string, string> =>
    Object.fromEntries(Object.entries(map).map(([alias, { name }]) => [alias, name]));
  return { inputs: names(inputs), outputs: names(outputs) };
}

test("import takes the original converter's options; its aliases are input and predict", async (t) => {
  const folder = await folderOf(t);
  const original = ["--import_path", SOFTMAX, "--export_dir", folder, "--model_version", "3"];
  const imported = await json(t, ["model", "import", ...original, "--inputs", "x", "--outputs", "output_0"]);
  assert.deepEqual([imported["version"], imported["folder"]], [3, join(folder, "3")]);
  assert.deepEqual(await readdir(folder), ["3"]);
  const tensors = await tensorsOf(t, join(folder, "3"));
  assert.deepEqual(tensors, { inputs: { input: "x:0" }, outputs: { predict: "output_0:0" } });
});

test("the original converter's defaults are version 1 and the nodes input and predict", async (t) => {
  const folder = await folderOf(t);
  await json(t, ["model", "import", "--import_path", DIGITS, "--export_dir", folder]);
  const tensors = await tensorsOf(t, join(folder, "1"));
  assert.deepEqual(tensors, { inputs: { input: "input:0" }, outputs: { predict: "predict:0" } });
});

test("several inputs and outputs keep their own names", async (t) => {
  const folder = await folderOf(t);
  const ends = ["--inputs", "x", "--outputs", "output_0,again=output_0"];
  await json(t, ["model", "import", "--import_path", SOFTMAX, "--export_dir", folder, ...ends]);
  const { outputs } = await tensorsOf(t, join(folder, "1"));
  assert.deepEqual(outputs, { output_0: "output_0:0", again: "output_0:0" });
});

test("a node that is not there is refused with candidates, and nothing is written", async (t) => {
  const folder = await folderOf(t);
  let text = "";
  t.mock.method(process.stderr, "write", (chunk: string) => {
    text += chunk;
    return true;
  });
  const code = await run(["model", "import", "--import_path", SOFTMAX, "--export_dir", folder, "--inputs", "x"]);
  assert.equal(code, EXIT.refused);
  assert.match(text, /predict/);
  assert.match(text, /output_0/);
  assert.deepEqual(await readdir(folder), []);
});
