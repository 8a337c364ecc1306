import assert from "node:assert/strict";
import { test } from "node:test";
import { generateResNet50, importFrozenGraph } from "@cloister/saved-model";
import { OnnxEngine } from "./index.ts";

const graph = generateResNet50({ imageSize: 32, widthDivisor: 16, seed: 1 });
const { files } = importFrozenGraph(graph, { tags: ["serve", "gpu"] });

for (const execution of ["inline", "worker"] as const) {
  test(`a graph is found by all of its tags, in any order, and not by some of them (${execution})`, async (t) => {
    const servable = await new OnnxEngine({ execution, tags: ["gpu", "serve"] }).load(files);
    t.after(() => servable.close());
    assert.ok(servable.signatures.has("serving_default"));
    await assert.rejects(new OnnxEngine({ execution }).load(files), { name: "SavedModelError" });
  });
}
