import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { engineUnderTest } from "./testing/engine-under-test.ts";
import { readModelDir } from "./testing/files.ts";
import { disagreement, modelNames, readRecordedModel } from "./testing/recorded-case.ts";

describe("recorded SavedModels answer as real TensorFlow does", () => {
  for (const name of modelNames()) {
    it(name, async (test) => {
      const { dir, inputs, outputs } = readRecordedModel(name);
      const servable = await engineUnderTest("inline").load(readModelDir(dir));
      test.after(() => servable.close());
      const answers = await servable.run({ signature: "serving_default", inputs, outputs: [...outputs.keys()] });
      for (const [alias, expected] of outputs)
        assert.equal(disagreement(answers.get(alias), expected), undefined, alias);
    });
  }
});
