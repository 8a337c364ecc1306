import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ModelFiles } from "@cloister/saved-model";
import { SavedModelError } from "@cloister/saved-model";
import * as fc from "fast-check";
import { EngineError } from "./error.ts";
import { OnnxEngine } from "./onnx-engine.ts";
import { readModelDir } from "./testing/files.ts";
import { readRecordedModel } from "./testing/recorded-case.ts";

const engine = new OnnxEngine({ execution: "inline", threads: 1 });

/** Loads a model and asks it. Whatever the files hold, the outcome is an answer or an error with a code, soon. */
async function outcome(name: string, files: ModelFiles): Promise<string> {
  const { inputs, outputs } = readRecordedModel(name);
  try {
    const servable = await engine.load(files);
    try {
      await servable.run({ signature: "serving_default", inputs, outputs: [...outputs.keys()] });
    } finally {
      await servable.close();
    }
    return "answered";
  } catch (error) {
    if (error instanceof SavedModelError || error instanceof EngineError) return error.code;
    throw error;
  }
}

describe("hostile models", { timeout: 120_000 }, () => {
  for (const name of ["lookup_from_file", "v1_tables", "keras_text", "keras_lstm"]) {
    const whole = readModelDir(readRecordedModel(name).dir);
    const paths = [...whole.keys()].filter((path) => path !== "golden.json");

    it(`${name}: changed bytes give an answer or a code`, async () => {
      const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
      const changes = fc.tuple(fc.constantFrom(...paths), fc.array(change, { minLength: 1, maxLength: 4 }));
      const property = fc.asyncProperty(changes, async ([path, edits]) => {
        const bytes = new Uint8Array(whole.get(path) ?? []);
        for (const [place, value] of edits) bytes[place % bytes.length] = value;
        await outcome(name, new Map(whole).set(path, bytes));
      });
      await fc.assert(property, { numRuns: 25, seed: 7 });
    });

    it(`${name}: cut and missing files give a code`, async () => {
      for (const path of paths) {
        const bytes = whole.get(path) ?? new Uint8Array();
        await outcome(name, new Map(whole).set(path, bytes.subarray(0, bytes.length >> 1)));
        const without = new Map(whole);
        without.delete(path);
        assert.notEqual(await outcome(name, without), "answered", path);
      }
    });
  }

  it("an asset outside of its folder is refused", async () => {
    const files = readModelDir(join(readRecordedModel("lookup_from_file").dir));
    const graph = files.get("saved_model.pb") ?? new Uint8Array();
    const text = Buffer.from(graph).toString("latin1").replaceAll("colors.txt", "../etc.txt");
    const changed = new Map(files).set("saved_model.pb", new Uint8Array(Buffer.from(text, "latin1")));
    assert.equal(await outcome("lookup_from_file", changed), "GRAPH_MALFORMED");
  });
});
