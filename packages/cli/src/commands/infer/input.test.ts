import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeInput } from "./input.ts";

const slot = { alias: "x", dtype: "float", shape: [-1, 2] } as const;
const flags = { signature: "serving_default" };

test("random input takes the batch, and dimensions that the model leaves open are 1", async () => {
  assert.deepEqual((await makeInput(slot, { ...flags, batch: 3 })).shape, [3, 2]);
  assert.deepEqual((await makeInput({ ...slot, shape: [-1, -1, 4] }, flags)).shape, [1, 1, 4]);
});

test("JSON files become tensors, and what cannot be read has a code", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-infer-"));
  const file = join(folder, "input.json");
  await writeFile(file, "[[1, 2]]");
  assert.deepEqual(await makeInput(slot, { ...flags, input: file }), {
    dtype: "float",
    shape: [1, 2],
    data: Float32Array.of(1, 2),
  });
  await writeFile(file, "[[1, 2");
  await assert.rejects(makeInput(slot, { ...flags, input: file }), { code: "FILE_MALFORMED" });
  await rm(folder, { recursive: true });
  for (const missing of [{ input: file }, { npy: file }, { image: file }]) {
    await assert.rejects(makeInput(slot, { ...flags, ...missing }), { code: "FILE_UNREADABLE" });
  }
});

test("a picture for an input that takes none is refused", async () => {
  const image = new URL("../../../../../examples/digits/images/000.png", import.meta.url).pathname;
  await assert.rejects(makeInput(slot, { ...flags, image }), { code: "INPUT_INVALID" });
});
