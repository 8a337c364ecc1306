import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonToTensor } from "./json-tensor.ts";
import { readNpy } from "./npy.ts";
import { randomTensor } from "./random-tensor.ts";

function npy(header: string, data: Uint8Array): Uint8Array {
  const text = Buffer.from(`${header}\n`, "latin1");
  const length = Buffer.of(text.length & 255, text.length >> 8);
  return Buffer.concat([Buffer.from("\u0093NUMPY\u0001\u0000", "latin1"), length, text, data]);
}

const floats = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
const HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

test("a .npy file is read with its type and shape", () => {
  assert.deepEqual(readNpy(npy(HEADER, floats)), {
    dtype: "float",
    shape: [2, 3],
    data: Float32Array.of(1, 2, 3, 4, 5, 6),
  });
});

for (const [name, bytes] of [
  ["column-major", npy(HEADER.replace("False", "True"), floats)],
  ["big-endian", npy(HEADER.replace("<f4", ">f4"), floats)],
  ["pickled", npy(HEADER.replace("<f4", "|O"), floats)],
  ["cut", npy(HEADER, floats.subarray(1))],
  ["longer than its shape", npy(HEADER, Buffer.concat([floats, Buffer.of(0)]))],
  ["another kind of", Buffer.from("not an array at all")],
  ["empty", new Uint8Array()],
] as const) {
  test(`a .npy file that is ${name} is refused`, () => {
    assert.throws(() => readNpy(bytes), { code: "INPUT_INVALID" });
  });
}

test("nested arrays give their shape, with or without the REST API's wrapper", () => {
  const expected = { dtype: "int32", shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) };
  assert.deepEqual(jsonToTensor([[1, 2], [3, 4]], "int32"), expected); // prettier-ignore
  assert.deepEqual(jsonToTensor({ instances: [[1, 2], [3, 4]] }, "int32"), expected); // prettier-ignore
  assert.deepEqual(jsonToTensor(7, "int64"), { dtype: "int64", shape: [], data: BigInt64Array.of(7n) });
  assert.deepEqual(jsonToTensor(["a"], "string"), { dtype: "string", shape: [1], data: [Uint8Array.of(97)] });
});

for (const [name, value, dtype] of [
  ["ragged", [[1, 2], [3]], "float"],
  ["deeper in one place", [1, [2]], "float"],
  ["text for numbers", ["1"], "float"],
  ["out of range", [256], "uint8"],
  ["fractions for integers", [0.5], "int64"],
  ["too large for a float", [1e39], "float"],
  ["an object", { a: 1 }, "float"],
] as const) {
  test(`JSON that is ${name} is refused`, () => {
    assert.throws(() => jsonToTensor(value, dtype), { code: "INPUT_INVALID" });
  });
}

test("random values are whole and below 255", () => {
  const { data, shape } = randomTensor("float", [1, 100]);
  assert.deepEqual(shape, [1, 100]);
  assert.ok(Array.from(data as Float32Array).every((value) => Number.isInteger(value) && value >= 0 && value < 255));
});
