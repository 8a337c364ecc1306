import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { fillUniform, generateResNet50, importFrozenGraph } from "@cloister/saved-model";
import { ENGINE_UNDER_TEST, engineUnderTest } from "./testing/engine-under-test.ts";

interface Golden {
  readonly model: { imageSize: number; widthDivisor: number; seed: number };
  readonly input: { seed: number; mean: number; deviation: number };
  readonly predict: readonly number[];
}

const MODELS = join(import.meta.dirname, "../../../saved-model/test-models");
const golden = JSON.parse(readFileSync(join(MODELS, "resnet50-golden.json"), "utf8")) as Golden;

it("a narrow ResNet-50 answers as real TensorFlow does, in any batch", async (test) => {
  const { imageSize, widthDivisor, seed } = golden.model;
  const { files } = importFrozenGraph(generateResNet50({ imageSize, widthDivisor, seed }));
  const servable = await engineUnderTest().load(files);
  test.after(() => servable.close());
  const pixels = imageSize * imageSize * 3;
  const predict = async (count: number): Promise<Float32Array> => {
    const data = new Float32Array(count * pixels);
    for (let image = 0; image < count; image++) {
      fillUniform(
        data.subarray(image * pixels, (image + 1) * pixels),
        golden.input.seed + image,
        golden.input.mean,
        golden.input.deviation,
      );
    }
    const inputs = new Map([["input", { dtype: "float" as const, shape: [count, imageSize, imageSize, 3], data }]]);
    const answers = await servable.run({ signature: "serving_default", inputs, outputs: ["predict"] });
    return answers.get("predict")?.data as Float32Array;
  };
  const alone = await predict(1);
  const differences = golden.predict.map((value, index) => Math.abs(value - (alone[index] ?? Number.NaN)));
  assert.equal(alone.length, 1001);
  assert.ok(Math.max(...differences) < 1e-6, `largest difference ${Math.max(...differences)}`);
  const row = (await predict(4)).slice(0, 1001);
  // TensorFlow gives other last bits in other batches.
  if (ENGINE_UNDER_TEST === "onnx") assert.deepEqual(row, alone);
  else row.forEach((value, index) => assert.ok(Math.abs(value - (alone[index] ?? Number.NaN)) < 1e-6));
});
