import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@cloister/encoding";
import type { Tensor } from "@cloister/encoding/tensor";
import { readClasses, readRegressions } from "./example-signature.ts";

const scores = (...shape: number[]): Tensor => ({
  dtype: "float",
  shape,
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, index) => index),
});
const labels = (count: number): Tensor => ({ dtype: "string", shape: [1, count], data: Array(count).fill(utf8("a")) });

test("missing scores are 0 and missing labels empty", () => {
  assert.deepEqual(readClasses(new Map([["classes", labels(1)]]), 1), [[{ label: "a", score: 0 }]]);
  assert.deepEqual(readClasses(new Map([["scores", scores(1, 1)]]), 1), [[{ label: "", score: 0 }]]);
});

test("a vector and a column of values are regressions", () => {
  assert.deepEqual(readRegressions(new Map([["outputs", scores(2)]]), 2), [0, 1]);
  assert.deepEqual(readRegressions(new Map([["outputs", scores(2, 1)]]), 2), [0, 1]);
});

test("results of another rank, dtype, batch or number of classes are INVALID_ARGUMENT", () => {
  const refused = { code: "INVALID_ARGUMENT" };
  const badScores = [scores(2), scores(3, 1), { ...scores(2, 1), dtype: "int32" as const }];
  for (const bad of badScores) assert.throws(() => readClasses(new Map([["scores", bad]]), 2), refused);
  const uneven = new Map([
    ["classes", labels(2)],
    ["scores", scores(1, 3)],
  ]);
  assert.throws(() => readClasses(uneven, 1), refused);
  const badValues = [scores(2, 2), scores(), scores(3), { ...scores(2), dtype: "double" as const }];
  for (const bad of badValues) assert.throws(() => readRegressions(new Map([["outputs", bad]]), 2), refused);
});
