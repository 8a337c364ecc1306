import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readSavedModel, SignatureProgram } from "@cloister/saved-model";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Servable } from "../engine.ts";
import { OnnxEngine } from "../onnx-engine.ts";
import { readModelDir } from "../testing/files.ts";
import type { OnnxProgram } from "./compiled-program.ts";
import { LocalServable } from "./local-servable.ts";
import { createMemoryFile } from "./memory-file.ts";
import { digestOf, PreparedModels } from "./prepared-model.ts";

const DIGITS = readModelDir(join(import.meta.dirname, "../../../../../examples/digits/saved_model"));
const COUNTER = readModelDir(
  join(import.meta.dirname, "../../../../saved-model/test-models/tfserving/saved_model_counter/00000123"),
);
const OPTIONS = { threads: 1, allowSpinning: false, tags: ["serve"] };

async function predict(servable: Servable, shape: readonly number[] = [2, 8, 8, 1]): Promise<Tensor | undefined> {
  const data = Float32Array.from({ length: 128 }, (_, i) => (i % 17) / 17);
  const inputs = new Map([["input", { dtype: "float", shape, data } as const]]);
  return (await servable.run({ signature: "serving_default", inputs, outputs: ["predict"] })).get("predict");
}

/** Where the system has no memory files a load prepares nothing, and everything below must hold without. */
const hasMemoryFiles = (await createMemoryFile()) !== undefined;

describe("a prepared model", () => {
  it("gives the same bits as the model that it was made from", async () => {
    const first = await LocalServable.load(DIGITS, OPTIONS, true);
    const prepared = first.takePrepared();
    assert.equal(prepared !== undefined, hasMemoryFiles);
    assert.equal(first.takePrepared(), undefined);
    if (prepared) {
      const second = await LocalServable.restore(DIGITS, prepared, OPTIONS);
      assert.deepEqual(second.signatures, first.signatures);
      assert.deepEqual(await predict(second), await predict(first));
      await second.close();
    }
    await first.close();
  });

  it("is optimised: another graph than the lowered one", async () => {
    const servable = await LocalServable.load(DIGITS, OPTIONS, true);
    const lowered = new SignatureProgram(readSavedModel(DIGITS), "serving_default", "declared").build(["predict"]);
    const [plain] = (lowered as OnnxProgram).steps;
    const [optimized] = servable.takePrepared()?.program.steps ?? [];
    if (optimized) assert.notDeepEqual(optimized.onnx, plain?.onnx);
    await servable.close();
  });

  it("is not made of a model that requests change", async () => {
    const servable = await LocalServable.load(COUNTER, OPTIONS, true);
    assert.equal(servable.takePrepared(), undefined);
    await servable.close();
  });

  it("answers a second load of the same files, and requests that it was not made for", async () => {
    const engine = new OnnxEngine({ execution: "worker", threads: 1, cacheBytes: 2 ** 24 });
    const first = await engine.load(DIGITS);
    const second = await engine.load(DIGITS);
    assert.deepEqual(await predict(second), await predict(first));
    await assert.rejects(predict(second, [128]), { code: "INPUT_INVALID" });
    await Promise.all([first.close(), second.close()]);
  });
});

describe("the cache of prepared models", () => {
  const prepared = (bytes: number) => {
    const step = { kind: "onnx", onnx: new Uint8Array(bytes), inputs: [], outputs: [], nodeCount: 0 } as const;
    const program = { steps: [step], constants: new Map(), inputs: [], outputs: new Map(), nodeCount: 0 };
    return { signatures: new Map(), unsupported: new Map(), id: "", program };
  };

  it("drops what was used longest ago where its bytes run out", () => {
    const cache = new PreparedModels(100);
    cache.add("a", prepared(40));
    cache.add("b", prepared(40));
    assert.ok(cache.get("a"));
    cache.add("c", prepared(40));
    assert.deepEqual(
      ["a", "b", "c"].map((digest) => cache.get(digest) !== undefined),
      [true, false, true],
    );
    cache.add("d", prepared(101));
    assert.equal(cache.get("d"), undefined);
  });

  it("tells models apart by names and contents of their files", () => {
    const bytes = Uint8Array.of(1, 2);
    const digests = [
      new Map([["a", bytes]]),
      new Map([["b", bytes]]),
      new Map([["a", Uint8Array.of(1)]]),
      new Map([
        ["a", Uint8Array.of(1)],
        ["b", Uint8Array.of(2)],
      ]),
    ].map((files) => digestOf(files));
    assert.equal(new Set(digests).size, digests.length);
  });
});
