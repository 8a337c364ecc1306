import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import { ENGINE_UNDER_TEST, engineUnderTest } from "./testing/engine-under-test.ts";
import { readGreyPng, readModelDir } from "./testing/files.ts";

const DIGITS = join(import.meta.dirname, "../../../../examples/digits");
const COUNT = 100;

const golden = JSON.parse(readFileSync(join(DIGITS, "golden.json"), "utf8")) as { probabilities: number[][] };

function image(index: number): number[] {
  const pixels = readGreyPng(join(DIGITS, `images/${String(index).padStart(3, "0")}.png`));
  return Array.from(pixels, (grey) => grey / 255);
}

function batch(indices: readonly number[]): Tensor {
  return { dtype: "float", shape: [indices.length, 8, 8, 1], data: Float32Array.from(indices.flatMap(image)) };
}

const ALL = Array.from({ length: COUNT }, (_, index) => index);

for (const execution of ["inline", "worker"] as const) {
  describe(`the digits model, ${execution}`, async () => {
    const servable = await engineUnderTest(execution).load(readModelDir(join(DIGITS, "saved_model")));
    const predict = async (indices: readonly number[]): Promise<Float32Array> => {
      const inputs = new Map([["input", batch(indices)]]);
      const outputs = await servable.run({ signature: "serving_default", inputs, outputs: ["predict"] });
      return outputs.get("predict")?.data as Float32Array;
    };

    it("answers as real TensorFlow does", async () => {
      const answers = await predict(ALL);
      const expected = golden.probabilities.slice(0, COUNT).flat();
      const differences = expected.map((value, index) => Math.abs(value - (answers[index] ?? Number.NaN)));
      assert.equal(answers.length, expected.length);
      assert.ok(Math.max(...differences) < 1e-5, `largest difference ${Math.max(...differences)}`);
    });

    // TensorFlow does not keep them.
    const isBitExact = ENGINE_UNDER_TEST === "onnx";
    it(`gives a row the same ${isBitExact ? "bits" : "numbers"} whatever batch it rides in`, async () => {
      const together = await predict([0, 1, 2, 3, 4, 5, 6, 7]);
      const alone = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((index) => predict([index])));
      alone.forEach((row, index) => {
        const same = together.slice(10 * index, 10 * (index + 1));
        if (isBitExact) assert.deepEqual(row, same);
        else row.forEach((value, i) => assert.ok(Math.abs(value - (same[i] ?? Number.NaN)) < 1e-6));
      });
    });

    it("says what its signature says", () => {
      const signature = servable.signatures.get("serving_default");
      assert.deepEqual(signature?.inputs.get("input")?.shape, [-1, 8, 8, 1]);
      assert.equal(signature?.methodName, "tensorflow/serving/predict");
    });

    it("is closed", async () => {
      await servable.close();
      await assert.rejects(predict([0]), { code: "CLOSED" });
    });
  });
}
