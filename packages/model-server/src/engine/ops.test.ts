import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { importFrozenGraph } from "@cloister/saved-model";
import { ENGINE_UNDER_TEST, engineUnderTest } from "./testing/engine-under-test.ts";
import { caseNames, disagreement, readCase } from "./testing/recorded-case.ts";

/** Cases that do not agree with TensorFlow yet, with the outcome that they have instead. */
const KNOWN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  onnx: {
    // ONNX Runtime's reduction leaves NaN out; TensorFlow gives NaN.
    max_nan: "element 0 is 2 instead of NaN",
  },
};
const known = KNOWN[ENGINE_UNDER_TEST] ?? {};

const engine = engineUnderTest("inline");

/** "agrees", what differs, or the code of the error. */
async function outcome(name: string): Promise<string> {
  const { graph, inputs, outputs, runs } = readCase(name);
  const { files } = importFrozenGraph(graph, { inputs, outputs });
  try {
    const servable = await engine.load(files);
    for (const run of runs) {
      const answer = await servable.run({ signature: "serving_default", inputs: run.inputs, outputs });
      for (const [alias, expected] of run.outputs) {
        const wrong = disagreement(answer.get(alias), expected);
        if (wrong !== undefined) return wrong;
      }
    }
    await servable.close();
    return "agrees";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("recorded answers of real TensorFlow", () => {
  for (const name of caseNames()) {
    it(`${name}: ${known[name] ?? "agrees"}`, async () => {
      assert.equal(await outcome(name), known[name] ?? "agrees");
    });
  }
});
