import assert from "node:assert/strict";
import { it } from "node:test";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import * as fc from "fast-check";
import { transposeTensor } from "./transform.ts";

/** Element by element, from the definition. */
function expected(shape: readonly number[], permutation: readonly number[]): number[] {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const sizes = permutation.map((axis) => shape[axis] ?? 1);
  return Array.from({ length: elementCount(shape) }, (_, index) => {
    let rest = index;
    let from = 0;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const size = sizes[axis] ?? 1;
      from += (rest % size) * (strides[permutation[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / size);
    }
    return from;
  });
}

it("moves every element where the permutation says, for all shapes and orders", () => {
  const cases = fc
    .array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 })
    .chain((shape) =>
      fc.tuple(fc.constant(shape), fc.shuffledSubarray([...shape.keys()], { minLength: shape.length })),
    );
  fc.assert(
    fc.property(cases, ([shape, permutation]) => {
      const tensor: Tensor = {
        dtype: "float",
        shape,
        data: Float32Array.from({ length: elementCount(shape) }, (_, i) => i),
      };
      const moved = transposeTensor(tensor, permutation);
      assert.deepEqual(Array.from(moved.data as Float32Array), expected(shape, permutation));
      assert.deepEqual(
        moved.shape,
        permutation.map((axis) => shape[axis]),
      );
    }),
    { numRuns: 300 },
  );
});

it("moves axes that are longer than a tile", () => {
  for (const [shape, permutation] of [
    [
      [70, 45],
      [1, 0],
    ],
    [
      [3, 3, 40, 50],
      [3, 2, 0, 1],
    ],
    [
      [2, 65, 33],
      [0, 2, 1],
    ],
  ] as const) {
    const tensor: Tensor = {
      dtype: "int32",
      shape,
      data: Int32Array.from({ length: elementCount(shape) }, (_, i) => i),
    };
    assert.deepEqual(Array.from(transposeTensor(tensor, permutation).data as Int32Array), expected(shape, permutation));
  }
});
