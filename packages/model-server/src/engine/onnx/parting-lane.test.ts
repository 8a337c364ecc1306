import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import { fillUniform, generateResNet50, importFrozenGraph, type ModelFiles } from "@cloister/saved-model";
import { readModelDir } from "../testing/files.ts";
import { readRecordedModel } from "../testing/recorded-case.ts";
import { PartingLane } from "./parting-lane.ts";
import { WorkerLane } from "./worker-lane.ts";

const SIZE = 32;
const RESNET = importFrozenGraph(generateResNet50({ imageSize: SIZE, widthDivisor: 8, seed: 7 })).files;

async function start(files: ModelFiles, threads: number): Promise<PartingLane> {
  const options = { threads, allowSpinning: false, tags: ["serve"] };
  const thread = WorkerLane.startThread({ lowers: true });
  const whole = await WorkerLane.load(thread, { files, options, prepared: undefined, keeps: false });
  return new PartingLane(whole, options, 0);
}

function images(count: number, first = 0): Tensor {
  const data = new Float32Array((first + count) * SIZE * SIZE * 3);
  fillUniform(data, 3, 0, 1);
  return { dtype: "float", shape: [count, SIZE, SIZE, 3], data: data.subarray(first * SIZE * SIZE * 3) };
}

async function answer(lane: PartingLane, input: Tensor): Promise<Tensor> {
  const inputs = new Map([["input", input]]);
  const outputs = await lane.run({ signature: "serving_default", inputs, outputs: ["predict"] });
  return outputs.get("predict") ?? assert.fail("no answer");
}

describe("a lane that computes batches in parts", () => {
  it("gives the bits of each row alone, for any number of rows, several batches at a time", async (test) => {
    const lane = await start(RESNET, 2);
    test.after(() => lane.close());
    const alone = await Promise.all(Array.from({ length: 9 }, (_, row) => answer(lane, images(1, row))));
    assert.equal(await lane.partLanes(), 0, "nothing is made ready for single rows");
    const joined = (count: number): number[] =>
      alone.slice(0, count).flatMap(({ data }) => Array.from(data as Float32Array));
    const whole = await answer(lane, images(9));
    assert.equal(await lane.partLanes(), 2);
    const counts = [9, 1, 2, 3, 8, 9];
    const batches = await Promise.all(counts.map((count) => answer(lane, images(count))));
    for (const [at, { shape, data }] of [...batches.entries(), [0, whole] as const]) {
      const count = counts[at] ?? 0;
      assert.deepEqual(shape, [count, ...(alone[0]?.shape.slice(1) ?? [])]);
      assert.deepEqual(Array.from(data as Float32Array), joined(count));
    }
  });

  it("leaves requests to the whole model that it has to refuse", async (test) => {
    const lane = await start(RESNET, 2);
    test.after(() => lane.close());
    await answer(lane, images(2));
    assert.equal(await lane.partLanes(), 2);
    const wrong: Tensor = { dtype: "double", shape: [2, SIZE, SIZE, 3], data: new Float64Array(2 * SIZE * SIZE * 3) };
    await assert.rejects(answer(lane, wrong), { code: "INPUT_INVALID" });
    await assert.rejects(answer(lane, { ...images(2), shape: [2, SIZE * SIZE * 3] }), { code: "INPUT_INVALID" });
  });

  it("may be closed while it makes ready", async () => {
    const lane = await start(RESNET, 2);
    await answer(lane, images(2));
    await lane.close();
  });

  it("runs batches whole on one thread, and where rows are not known to be apart", async (test) => {
    const one = await start(RESNET, 1);
    test.after(() => one.close());
    await answer(one, images(4));
    assert.equal(await one.partLanes(), 0);
    const { dir, inputs, outputs } = readRecordedModel("keras_encoder");
    const encoder = await start(readModelDir(dir), 2);
    test.after(() => encoder.close());
    await encoder.run({ signature: "serving_default", inputs, outputs: [...outputs.keys()] });
    assert.equal(await encoder.partLanes(), 0);
  });
});
