// Numbers that the host rearranges: their results' sizes depend on values, and they are small.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../../host/refusal.ts";
import { type Element, elementsOf, fromElements, integers } from "../../host/elements.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

/** No result may be larger. */
const MAX_ELEMENTS = 2 ** 26;

/** Rows combined by segment. Segments come in ascending order; those without rows are zero. */
function segment(combine: (rows: readonly number[]) => number): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(0).dtype, shape: op.input(0).shape && [-1, ...(op.input(0).shape ?? []).slice(1)] }],
    (op) => {
      const { dtype } = op.input(0);
      if (dtype === "string") unlowerable("on strings");
      const isBig = dtype === "int64" || dtype === "uint64";
      return ([data, ids]) => {
        const { shape } = data as Tensor;
        const numbers = elementsOf(data as Tensor).map(Number);
        const to = integers(ids as Tensor);
        const width = elementCount(shape.slice(1));
        const count = (to.at(-1) ?? -1) + 1;
        if (count * width > MAX_ELEMENTS || to.some((id, row) => id < 0 || id < (to[row - 1] ?? 0))) {
          return refuse("segments are not in order");
        }
        const rows = Array.from({ length: count }, (): number[] => []);
        for (const [row, id] of to.entries()) rows[id]?.push(row);
        const combined = rows.flatMap((members) =>
          Array.from({ length: width }, (_, column): Element => {
            const values = members.map((row) => numbers[row * width + column] ?? 0);
            const value = values.length === 0 ? 0 : combine(values);
            return isBig ? BigInt(value) : value;
          }),
        );
        return [fromElements(dtype, [count, ...shape.slice(1)], combined)];
      };
    },
  );
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** For each place of a permutation, where it went. */
const invertPermutation: Lowering = hostOp(
  sameShape((op) => op.input(0).dtype),
  () =>
    ([value]) => {
      const places = integers(value as Tensor);
      const inverse = places.map(() => -1);
      for (const [index, place] of places.entries()) inverse[place] = index;
      if (inverse.length !== places.length || inverse.includes(-1)) refuse("it is no permutation");
      const { dtype, shape } = value as Tensor;
      return [fromElements(dtype, shape, dtype === "int64" ? inverse.map(BigInt) : inverse)];
    },
);

/** The shape to which two shapes broadcast. */
const broadcastArgs: Lowering = hostOp(
  (op) => [{ dtype: op.input(0).dtype, shape: [-1] }],
  () =>
    ([a, b]) => {
      const [left, right] = [integers(a as Tensor), integers(b as Tensor)];
      const rank = Math.max(left.length, right.length);
      const sizes = Array.from({ length: rank }, (_, axis) => {
        const [x, y] = [left[axis - rank + left.length] ?? 1, right[axis - rank + right.length] ?? 1];
        if (x !== y && x !== 1 && y !== 1) refuse("shapes do not go together");
        return x === 1 ? y : x;
      });
      const { dtype } = a as Tensor;
      return [fromElements(dtype, [rank], dtype === "int64" ? sizes.map(BigInt) : sizes)];
    },
);

export const SEGMENTS: LoweringTable = {
  BroadcastArgs: broadcastArgs,
  InvertPermutation: invertPermutation,
  SegmentMax: segment((values) => values.reduce((a, b) => Math.max(a, b))),
  SegmentMean: segment((values) => sum(values) / values.length),
  SegmentMin: segment((values) => values.reduce((a, b) => Math.min(a, b))),
  SegmentProd: segment((values) => values.reduce((a, b) => a * b)),
  SegmentSum: segment(sum),
};
