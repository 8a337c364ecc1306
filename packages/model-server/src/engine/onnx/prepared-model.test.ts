import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Servable } from "../engine.ts";
import { OnnxEngine } from "../onnx-engine.ts";
import { readModelDir } from "../testing/files.ts";
import { LocalServable } from "./local-servable.ts";
import { loadModel, lowerModel } from "./load-model.ts";
import { createMemoryFile } from "./memory-file.ts";
import { digestOf, HeldModel, type PreparedModel, PreparedModels } from "./prepared-model.ts";

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

const restore = (prepared: PreparedModel): Promise<LocalServable> =>
  LocalServable.restore(prepared, OPTIONS, async () => lowerModel(DIGITS, OPTIONS.tags));

/** Where the system has no memory files a load prepares nothing, and everything below must hold without. */
const hasMemoryFiles = await createMemoryFile().then((file) => {
  file?.close();
  return file !== undefined;
});

describe("a prepared model", () => {
  it("gives the same bits as a model that is loaded without it", async (test) => {
    const plain = await loadModel(DIGITS, OPTIONS);
    const first = await loadModel(DIGITS, OPTIONS, true);
    test.after(() => Promise.all([plain.close(), first.close()]));
    const prepared = first.takePrepared();
    assert.equal(prepared !== undefined, hasMemoryFiles);
    assert.equal(first.takePrepared(), undefined);
    const expected = await predict(plain);
    assert.deepEqual(await predict(first), expected);
    if (prepared) {
      const second = await restore(prepared);
      test.after(() => second.close());
      assert.deepEqual(second.signatures, first.signatures);
      assert.deepEqual(await predict(second), expected);
      // A program that it was not prepared for.
      await assert.rejects(predict(second, [128]), { code: "INPUT_INVALID" });
      closeSync(prepared.program.descriptor);
    }
  });

  it("outlives its memory file while it runs", { skip: !hasMemoryFiles }, async (test) => {
    const first = await loadModel(DIGITS, OPTIONS, true);
    const prepared = first.takePrepared();
    assert.ok(prepared);
    const held = new HeldModel(prepared);
    const second = await restore(held.hold().model);
    test.after(() => Promise.all([first.close(), second.close()]));
    held.release();
    assert.ok(fstatSync(prepared.program.descriptor).size >= prepared.program.bytes);
    held.release();
    assert.throws(() => fstatSync(prepared.program.descriptor), { code: "EBADF" });
    assert.deepEqual(await predict(second), await predict(first));
  });

  it("is not made of a model that requests change", async () => {
    const servable = await loadModel(COUNTER, OPTIONS, true);
    assert.equal(servable.takePrepared(), undefined);
    await servable.close();
  });

  it("answers a second load of the same files, and requests that it was not made for", async (test) => {
    const engine = new OnnxEngine({ execution: "worker", threads: 1, cacheBytes: 2 ** 24 });
    const first = await engine.load(DIGITS);
    const second = await engine.load(DIGITS);
    test.after(() => Promise.all([first.close(), second.close()]));
    assert.deepEqual(await predict(second), await predict(first));
    await assert.rejects(predict(second, [128]), { code: "INPUT_INVALID" });
  });
});

describe("the cache of prepared models", () => {
  const prepared = (bytes: number) => {
    const descriptor = openSync(import.meta.filename, "r");
    const rim = { constants: new Map(), outputs: new Map(), keepsRowsApart: false };
    const program = { ...rim, inputs: [], results: [], descriptor, bytes };
    return new HeldModel({ signatures: new Map(), unsupported: new Map(), initOp: undefined, id: "", program });
  };

  it("drops what was used longest ago where its bytes run out, and closes it once nobody holds it", () => {
    const cache = new PreparedModels(100);
    const models = { a: prepared(40), b: prepared(40), c: prepared(40) };
    cache.add("a", models.a);
    cache.add("b", models.b);
    assert.equal(cache.get("a"), models.a);
    cache.add("c", models.c);
    for (const [digest, held] of Object.entries(models))
      assert.equal(cache.get(digest), digest === "b" ? undefined : held);
    models.b.release();
    assert.throws(() => fstatSync(models.b.model.program.descriptor), { code: "EBADF" });
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
