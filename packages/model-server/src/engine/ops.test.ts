import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { importFrozenGraph } from "@cloister/saved-model";
import { ENGINE_UNDER_TEST, engineUnderTest } from "./testing/engine-under-test.ts";
import { caseNames, disagreement, readCase } from "./testing/recorded-case.ts";

const engine = engineUnderTest("inline");

/** "agrees", what differs, or the code of the error. */
async function outcome(name: string): Promise<string> {
  const { graph, inputs, outputs, runs } = readCase(name);
  const { files } = importFrozenGraph(graph, { inputs, outputs });
  try {
    await using closing = new AsyncDisposableStack();
    const servable = await engine.load(files);
    closing.defer(() => servable.close());
    for (const run of runs) {
      const answer = await servable.run({ signature: "serving_default", inputs: run.inputs, outputs });
      for (const [alias, expected] of run.outputs) {
        const wrong = disagreement(answer.get(alias), expected);
        if (wrong !== undefined) return wrong;
      }
    }
    return "agrees";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("recorded answers of real TensorFlow", () => {
  for (const name of caseNames()) {
    it(`${name} agrees`, async () => {
      assert.equal(await outcome(name), "agrees");
    });
  }
});

describe("integer division by zero", () => {
  for (const name of ["int32_truncatediv", "int32_floordiv", "int64_floordiv", "int32_floormod", "int32_truncatemod"]) {
    it(`${name} is refused`, async (test) => {
      const { graph, inputs, outputs, runs } = readCase(name);
      const servable = await engine.load(importFrozenGraph(graph, { inputs, outputs }).files);
      test.after(() => servable.close());
      const given = new Map(runs[0]?.inputs);
      const divisor = given.get("y");
      assert.ok(divisor);
      const Zeros = divisor.dtype === "int64" ? BigInt64Array : Int32Array;
      given.set("y", { ...divisor, data: new Zeros(divisor.data.length) });
      const request = servable.run({ signature: "serving_default", inputs: given, outputs });
      // TensorFlow's library calls it a fault of its own and says no more.
      const refusal = { code: "INPUT_INVALID", message: /Integer division by zero/ };
      await assert.rejects(request, ENGINE_UNDER_TEST === "onnx" ? refusal : { name: "EngineError" });
    });
  }
});
