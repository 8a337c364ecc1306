import assert from "node:assert/strict";
import { test } from "node:test";
import { elementwiseEngine } from "../testing/elementwise-engine.ts";
import { classifyOn, regressOn } from "./infer-examples.ts";
import { predictOn } from "./predict.ts";

test("method names are checked only where that is asked for", async () => {
  const servable = await elementwiseEngine().load(new Map());
  const info = servable.signatures.get("serving_default") ?? assert.fail();
  const odd = { ...servable, signatures: new Map([["serving_default", { ...info, methodName: "other" }]]) };
  const readInputs = () => new Map([["x", { dtype: "float" as const, shape: [1], data: Float32Array.of(2) }]]);
  const call = { outputFilter: [], readInputs, signal: undefined };
  const predict = async (isChecked: boolean) => predictOn(odd, "serving_default", call, isChecked);
  await assert.rejects(predict(true), { code: "INTERNAL" });
  assert.deepEqual((await predict(false)).get("y")?.data, Float32Array.of(3));
  const examples = { examples: [new Uint8Array(0)], signal: undefined };
  assert.throws(() => classifyOn(servable, "score_x", examples, true), { code: "INVALID_ARGUMENT" });
  assert.equal((await classifyOn(servable, "score_x", examples, false)).length, 1);
  assert.throws(() => regressOn(servable, "score_x", examples, true), { code: "INVALID_ARGUMENT" });
});
