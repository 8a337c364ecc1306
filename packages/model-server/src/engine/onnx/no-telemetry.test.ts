import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";

const ENGINE = new URL("../onnx-engine.ts", import.meta.url).href;
const FILES = new URL("../testing/files.ts", import.meta.url).href;
const LIBRARY = import.meta.resolve("onnxruntime-node");
const DIGITS = join(import.meta.dirname, "../../../../../examples/digits/saved_model");

/** Runs a module in a process whose home is empty and whose environment says neither test nor CI; gives what is in the home then. */
async function homeAfter(t: TestContext, script: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "cloister-home-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [home, program] = [join(folder, "home"), join(folder, "program.mjs")];
  await mkdir(home);
  await writeFile(program, script);
  const env = { HOME: home, PATH: process.env["PATH"] ?? "" };
  await promisify(execFile)(process.execPath, [program], { env });
  return readdir(home);
}

for (const execution of ["inline", "worker"]) {
  test(`a model that runs ${execution} leaves no record of itself outside the process`, async (t) => {
    const script = `
      import { OnnxEngine } from ${JSON.stringify(ENGINE)};
      import { readModelDir } from ${JSON.stringify(FILES)};
      const engine = new OnnxEngine({ execution: ${JSON.stringify(execution)}, threads: 1 });
      const servable = await engine.load(readModelDir(${JSON.stringify(DIGITS)}));
      await servable.close();
    `;
    assert.deepEqual(await homeAfter(t, script), []);
  });
}

test(
  "the library alone would keep one, so that the tests before can fail",
  { skip: process.platform !== "linux" },
  async (t) => {
    // The smallest model there is: opset 17 and a graph that hands its input on.
    const model =
      "CAg6RAoTCgF4EgF5GgFuIghJZGVudGl0eRILc2VjcmV0Z3JhcGhaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAR";
    const script = `
    import { InferenceSession } from ${JSON.stringify(LIBRARY)};
    await InferenceSession.create(Buffer.from(${JSON.stringify(model)}, "base64")).catch(() => undefined);
  `;
    assert.notDeepEqual(await homeAfter(t, script), []);
  },
);
