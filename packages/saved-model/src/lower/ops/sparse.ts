// Sparse tensors as feature columns use them: three tensors (coordinates, values, shape), rearranged by the host.

import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../../host/refusal.ts";
import { type Element, elementsOf, fromElements, int64Tensor, integers } from "../../host/elements.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { knownElements } from "../value.ts";

/** No dense tensor that a request asks for may be larger. */
const MAX_ELEMENTS = 2 ** 26;

function requireSize(shape: readonly number[]): number {
  const count = elementCount(shape);
  return shape.every((size) => size >= 0) && count <= MAX_ELEMENTS ? count : refuse("a tensor of that size");
}

/** Coordinates as rows, whether they came as a scalar, a vector or a matrix. */
function rowsOf(indices: Tensor, rank: number): number[][] {
  const flat = integers(indices);
  return Array.from({ length: rank === 0 ? 0 : flat.length / rank }, (_, row) =>
    flat.slice(row * rank, (row + 1) * rank),
  );
}

function offsetIn(shape: readonly number[], at: readonly number[]): number {
  let offset = 0;
  for (const [axis, size] of shape.entries()) {
    const index = at[axis] ?? -1;
    if (index < 0 || index >= size) refuse("an index is out of range");
    offset = offset * size + index;
  }
  return offset;
}

/** Operands: coordinates, shape, values, default. */
const sparseToDense: Lowering = hostOp(
  (op) => [{ dtype: op.input(2).dtype, shape: knownElements(op.input(1))?.map((size) => size ?? -1) }],
  () =>
    ([indices, shapeTensor, values, fallback]) => {
      const shape = integers(shapeTensor as Tensor);
      const dense = Array<Element>(requireSize(shape)).fill(elementsOf(fallback as Tensor)[0] ?? 0);
      const given = elementsOf(values as Tensor);
      const rows = rowsOf(indices as Tensor, shape.length);
      for (const [row, at] of rows.entries()) dense[offsetIn(shape, at)] = given[given.length === 1 ? 0 : row] ?? 0;
      return [fromElements((values as Tensor).dtype, shape, dense)];
    },
);

/** Gives rows without entries one with the default. Operands: coordinates, values, shape, default. */
const fillEmptyRows: Lowering = hostOp(
  (op) => [
    { dtype: "int64", shape: [-1, op.input(0).shape?.[1] ?? -1] },
    { dtype: op.input(1).dtype, shape: [-1] },
    { dtype: "bool", shape: [-1] },
    { dtype: "int64", shape: [-1] },
  ],
  () =>
    ([indices, values, shapeTensor, fallback]) => {
      const shape = integers(shapeTensor as Tensor);
      const rank = shape.length;
      const count = requireSize([shape[0] ?? 0]);
      const given = elementsOf(values as Tensor);
      const byRow = Array.from({ length: count }, (): number[] => []);
      const coordinates = rowsOf(indices as Tensor, rank);
      for (const [entry, at] of coordinates.entries())
        (byRow[at[0] ?? -1] ?? refuse("an index is out of range")).push(entry);
      const reverse = Array<number>(given.length).fill(0);
      const filledAt: number[][] = [];
      const filled: Element[] = [];
      for (const [row, entries] of byRow.entries()) {
        if (entries.length === 0) {
          filledAt.push([row, ...Array<number>(rank - 1).fill(0)]);
          filled.push(elementsOf(fallback as Tensor)[0] ?? 0);
        }
        for (const entry of entries) {
          reverse[entry] = filled.length;
          filledAt.push(coordinates[entry] ?? []);
          filled.push(given[entry] ?? 0);
        }
      }
      return [
        int64Tensor([filled.length, rank], filledAt.flat()),
        fromElements((values as Tensor).dtype, [filled.length], filled),
        fromElements(
          "bool",
          [count],
          byRow.map((entries) => Number(entries.length === 0)),
        ),
        int64Tensor([given.length], reverse),
      ];
    },
);

/** Operands: coordinates, old shape, new shape with at most one -1. */
const sparseReshape: Lowering = hostOp(
  (op) => [
    { dtype: "int64", shape: [-1, op.input(2).shape?.[0] ?? -1] },
    { dtype: "int64", shape: op.input(2).shape },
  ],
  () =>
    ([indices, oldShape, newShape]) => {
      const from = integers(oldShape as Tensor);
      const wanted = integers(newShape as Tensor);
      const total = elementCount(from);
      const known = elementCount(wanted.filter((size) => size !== -1));
      const to = wanted.map((size) => (size === -1 ? (known === 0 ? 0 : total / known) : size));
      if (elementCount(to) !== total) refuse("a sparse tensor is given another size");
      const rows = rowsOf(indices as Tensor, from.length).map((at) => {
        let rest = offsetIn(from, at);
        const moved: number[] = [];
        for (const size of to.toReversed()) {
          moved.unshift(rest % size);
          rest = Math.floor(rest / size);
        }
        return moved;
      });
      return [int64Tensor([rows.length, to.length], rows.flat()), int64Tensor([to.length], to)];
    },
);

type Combine = (sum: number, count: number) => number;

/** Rows of a matrix added up by segment. Operands: data, row numbers, segment numbers in ascending order. */
function sparseSegment(combine: Combine, isCounted: boolean): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(0).dtype, shape: op.input(0).shape && [-1, ...(op.input(0).shape?.slice(1) ?? [])] }],
    () =>
      ([data, rows, segments, count]) => {
        const { dtype, shape } = data as Tensor;
        const numbers = (data as Tensor).data as Float32Array;
        const [from, to] = [integers(rows as Tensor), integers(segments as Tensor)];
        const size = isCounted ? (integers(count as Tensor)[0] ?? 0) : (to.at(-1) ?? -1) + 1;
        const width = elementCount(shape.slice(1));
        const result = new Float64Array(requireSize([size, width]));
        const counts = Array<number>(size).fill(0);
        for (const [entry, segment] of to.entries()) {
          const row = from[entry] ?? -1;
          if (row < 0 || row >= (shape[0] ?? 0) || segment < 0 || segment >= size) refuse("an index is out of range");
          counts[segment] = (counts[segment] ?? 0) + 1;
          for (let i = 0; i < width; i++)
            result[segment * width + i] = (result[segment * width + i] ?? 0) + (numbers[row * width + i] ?? 0);
        }
        const finished = result.map((sum, place) => combine(sum, Math.max(counts[Math.floor(place / width)] ?? 1, 1)));
        return [fromElements(dtype, [size, ...shape.slice(1)], [...finished])];
      },
  );
}

/** Bucket of each number: how many boundaries are not above it. */
const bucketize: Lowering = hostOp(sameShape("int32"), (op) => {
  const boundaries = op.attributes.floats("boundaries");
  return ([value]) => {
    const numbers = elementsOf(value as Tensor).map((each) => {
      const number = Number(each);
      const place = boundaries.findIndex((boundary) => number < boundary);
      return place === -1 ? boundaries.length : place;
    });
    return [fromElements("int32", (value as Tensor).shape, numbers)];
  };
});

/** Sums by segment number, in any order. Operands: data, segments, their number. */
const unsortedSegmentSum: Lowering = hostOp(
  (op) => {
    const { dtype, shape } = op.input(0);
    const segments = op.input(1).shape;
    const count = knownElements(op.input(2))?.[0] ?? -1;
    return [{ dtype, shape: shape && segments && [count, ...shape.slice(segments.length)] }];
  },
  (op) => {
    if (op.input(0).dtype === "string") unlowerable("on strings");
    return ([data, segments, count]) => {
      const { dtype, shape, data: numbers } = data as Tensor;
      const rest = shape.slice((segments as Tensor).shape.length);
      const width = elementCount(rest);
      const size = integers(count as Tensor)[0] ?? 0;
      const result = newArray(dtype as "float", requireSize([size, width]));
      for (const [entry, segment] of integers(segments as Tensor).entries()) {
        // Negative segments are left out.
        if (segment < 0) continue;
        if (segment >= size) refuse("an index is out of range");
        for (let i = 0; i < width; i++) {
          const place = segment * width + i;
          result[place] = ((result[place] as number) +
            ((numbers as NumericArray)[entry * width + i] as number)) as never;
        }
      }
      return [{ dtype, shape: [size, ...rest], data: result }];
    };
  },
);

export const SPARSE: LoweringTable = {
  Bucketize: bucketize,
  SparseFillEmptyRows: fillEmptyRows,
  SparseReshape: sparseReshape,
  SparseSegmentMean: sparseSegment((sum, count) => sum / count, false),
  SparseSegmentMeanWithNumSegments: sparseSegment((sum, count) => sum / count, true),
  SparseSegmentSqrtN: sparseSegment((sum, count) => sum / Math.sqrt(count), false),
  SparseSegmentSqrtNWithNumSegments: sparseSegment((sum, count) => sum / Math.sqrt(count), true),
  SparseSegmentSum: sparseSegment((sum) => sum, false),
  SparseSegmentSumWithNumSegments: sparseSegment((sum) => sum, true),
  SparseToDense: sparseToDense,
  UnsortedSegmentSum: unsortedSegmentSum,
};
