import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { imageToTensor } from "./image-tensor.ts";
import { topK } from "./top-k.ts";

const png = (samples: Uint8Array, width: number, height: number, channels: 1 | 3 | 4) =>
  sharp(samples, { raw: { width, height, channels } }).png().toBuffer();

test("an 8x8 grayscale digit comes out sample by sample, scaled to 0 to 16", async () => {
  const samples = Uint8Array.from({ length: 64 }, (_, index) => index * 4);
  const options = { width: 8, height: 8, channels: "grayscale", scale: 16 / 255, layout: "flat" } as const;
  const { dtype, shape, data } = await imageToTensor(await png(samples, 8, 8, 1), options);
  assert.deepEqual([dtype, shape], ["float", [1, 64]]);
  assert.deepEqual(
    data,
    Float32Array.from(samples, (sample) => (sample * 16) / 255),
  );
});

test("a colour picture is resized to [1, height, width, 3] with values from 0 to 1", async () => {
  const red = Uint8Array.from({ length: 20 * 10 * 3 }, (_, index) => (index % 3 === 0 ? 255 : 0));
  const tensor = await imageToTensor(await png(red, 20, 10, 3), { width: 4, height: 6, channels: "rgb" });
  assert.deepEqual(tensor.shape, [1, 6, 4, 3]);
  assert.deepEqual(tensor.data.slice(0, 6), Float32Array.of(1, 0, 0, 1, 0, 0));
});

test("a grayscale picture gives three equal channels, a colour one a single channel, and transparency is black", async () => {
  const gray = await imageToTensor(await png(Uint8Array.of(51), 1, 1, 1), { width: 1, height: 1, channels: "rgb" });
  assert.deepEqual(gray.data, Float32Array.of(51 / 255, 51 / 255, 51 / 255));
  const options = { width: 1, height: 1, channels: "grayscale" } as const;
  const white = await imageToTensor(await png(Uint8Array.of(255, 255, 255), 1, 1, 3), options);
  assert.deepEqual([white.shape, white.data], [[1, 1, 1, 1], Float32Array.of(1)]);
  const clear = await imageToTensor(await png(Uint8Array.of(255, 255, 255, 0), 1, 1, 4), options);
  assert.deepEqual(clear.data, Float32Array.of(0));
});

test("what is no picture, and a cut one, are refused", async () => {
  const options = { width: 8, height: 8, channels: "rgb" } as const;
  const noise = Uint8Array.from({ length: 48 * 48 * 3 }, (_, index) => (index * 7919) % 251);
  const whole = await png(noise, 48, 48, 3);
  for (const bytes of [new Uint8Array(0), Uint8Array.of(1, 2, 3), whole.subarray(0, whole.length / 2)]) {
    await assert.rejects(imageToTensor(bytes, options), { code: "IMAGE_INVALID" });
  }
});

test("the highest scores come first, with their labels", () => {
  const scores = { dtype: "float", shape: [2, 3], data: Float32Array.of(0.25, 0.5, 0, 1, 2, 3) } as const;
  assert.deepEqual(topK(scores, 2, ["cat", "dog"]), [
    [
      { index: 1, label: "dog", score: 0.5 },
      { index: 0, label: "cat", score: 0.25 },
    ],
    [
      { index: 2, label: undefined, score: 3 },
      { index: 1, label: "dog", score: 2 },
    ],
  ]);
});
