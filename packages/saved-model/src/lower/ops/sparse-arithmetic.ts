// Arithmetic on sparse tensors: three operands each (coordinates, values, shape), in the order of their coordinates.

import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { type Element, elementsOf, fromElements, int64Tensor, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { Type } from "../emitter.ts";

/** No dense tensor may be larger. */
const MAX_ELEMENTS = 2 ** 26;

interface Entry {
  readonly at: readonly number[];
  readonly value: Element;
}

function entriesOf(indices: Tensor, values: Tensor): Entry[] {
  const [, rank = 0] = indices.shape;
  const flat = integers(indices);
  return elementsOf(values).map((value, row) => ({ at: flat.slice(row * rank, (row + 1) * rank), value }));
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [axis, index] of a.entries()) if (index !== b[axis]) return index - (b[axis] ?? 0);
  return 0;
}

function indicesOf(entries: readonly Entry[], rank: number): Tensor {
  return int64Tensor(
    [entries.length, rank],
    entries.flatMap(({ at }) => at),
  );
}

function valuesOf(entries: readonly Entry[], dtype: Tensor["dtype"]): Tensor {
  return fromElements(
    dtype,
    [entries.length],
    entries.map(({ value }) => value),
  );
}

function sparseTypes(dtype: Tensor["dtype"], rank = -1): Type[] {
  return [
    { dtype: "int64", shape: [-1, rank] },
    { dtype, shape: [-1] },
    { dtype: "int64", shape: [rank] },
  ];
}

const reorder: Lowering = hostOp(
  (op) => sparseTypes(op.input(1).dtype).slice(0, 2),
  () =>
    ([indices, values, shape]) => {
      const entries = entriesOf(indices as Tensor, values as Tensor).toSorted((a, b) => compare(a.at, b.at));
      return [indicesOf(entries, (shape as Tensor).data.length), valuesOf(entries, (values as Tensor).dtype)];
    },
);

/** Operands: coordinates, values and shape of a sparse matrix, then a dense one. */
const timesDense: Lowering = hostOp(
  (op) => [{ dtype: op.input(1).dtype, shape: [-1, -1] }],
  (op) => {
    const { dtype } = op.input(1);
    if (dtype === "string") return unlowerable("on strings");
    const [adjointA, adjointB] = [op.attributes.bool("adjoint_a", false), op.attributes.bool("adjoint_b", false)];
    return ([indices, values, sizes, dense]) => {
      const [rows = 0, inner = 0] = adjointA ? integers(sizes as Tensor).toReversed() : integers(sizes as Tensor);
      const { shape, data } = dense as Tensor;
      const [depth = 0, columns = 0] = adjointB ? shape.toReversed() : shape;
      if (depth !== inner || rows * columns > MAX_ELEMENTS) return refuse("matrices of such shapes");
      const result = newArray(dtype, rows * columns) as Float64Array;
      for (const { at, value } of entriesOf(indices as Tensor, values as Tensor)) {
        const [row = 0, column = 0] = adjointA ? at.toReversed() : at;
        if (row < 0 || row >= rows || column < 0 || column >= inner) refuse("an index is out of range");
        for (let i = 0; i < columns; i++) {
          const factor = (data as Float64Array)[adjointB ? i * inner + column : column * columns + i] as number;
          result[row * columns + i] = (result[row * columns + i] as number) + (value as number) * factor;
        }
      }
      return [{ dtype, shape: [rows, columns], data: result }];
    };
  },
);

/** Combines a sparse tensor along axes into a dense one. Operands: coordinates, values, shape, axes. */
function reduce(combine: (a: number, b: number) => number): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(1).dtype, shape: undefined }],
    (op) => {
      const keepDims = op.attributes.bool("keep_dims", false);
      const { dtype } = op.input(1);
      return ([indices, values, sizes, axesTensor]) => {
        const shape = integers(sizes as Tensor);
        const given = integers(axesTensor as Tensor).map((axis) => (axis < 0 ? axis + shape.length : axis));
        const axes = given.length === 0 ? [...shape.keys()] : given;
        const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
        const count = elementCount(kept);
        if (count > MAX_ELEMENTS) return refuse("a tensor of that size");
        const found = new Map<number, number | bigint>();
        for (const { at, value } of entriesOf(indices as Tensor, values as Tensor)) {
          const place = kept.reduce(
            (offset, size, axis) => offset * size + (axes.includes(axis) ? 0 : (at[axis] ?? 0)),
            0,
          );
          const old = found.get(place);
          found.set(place, old === undefined ? (value as number) : combine(old as number, value as number));
        }
        const zero = dtype === "int64" ? 0n : 0;
        const elements = Array.from({ length: count }, (_, place) => found.get(place) ?? zero);
        return [fromElements(dtype, keepDims ? kept : shape.filter((_, axis) => !axes.includes(axis)), elements)];
      };
    },
  );
}

/** Operands: all coordinates, all values, all shapes. */
const concat: Lowering = hostOp(
  (op) => sparseTypes(op.input(op.attributes.int("N", 1)).dtype),
  (op) => {
    const count = op.attributes.int("N", 1);
    const given = op.attributes.int("concat_dim", 0);
    return (inputs) => {
      const shapes = inputs.slice(2 * count).map(integers);
      const [shape = []] = shapes;
      const axis = given < 0 ? given + shape.length : given;
      let before = 0;
      const entries = shapes.flatMap((own, index) => {
        const moved = entriesOf(inputs[index] as Tensor, inputs[count + index] as Tensor).map(({ at, value }) => ({
          at: at.with(axis, (at[axis] ?? 0) + before),
          value,
        }));
        before += own[axis] ?? 0;
        return moved;
      });
      const sorted = entries.toSorted((a, b) => compare(a.at, b.at));
      const { dtype } = inputs[count] as Tensor;
      const whole = int64Tensor([shape.length], shape.with(axis, before));
      return [indicesOf(sorted, shape.length), valuesOf(sorted, dtype), whole];
    };
  },
);

/** Operands: coordinates, values, shape, start, size. */
const slice: Lowering = hostOp(
  (op) => sparseTypes(op.input(1).dtype),
  () =>
    ([indices, values, sizes, startTensor, sizeTensor]) => {
      const [shape, start, size] = [sizes, startTensor, sizeTensor].map((each) => integers(each as Tensor)) as [
        number[],
        number[],
        number[],
      ];
      const cut = shape.map((whole, axis) => Math.max(Math.min(size[axis] ?? 0, whole - (start[axis] ?? 0)), 0));
      const entries = entriesOf(indices as Tensor, values as Tensor)
        .map(({ at, value }) => ({ at: at.map((index, axis) => index - (start[axis] ?? 0)), value }))
        .filter(({ at }) => at.every((index, axis) => index >= 0 && index < (cut[axis] ?? 0)));
      const { dtype } = values as Tensor;
      return [indicesOf(entries, shape.length), valuesOf(entries, dtype), int64Tensor([shape.length], cut)];
    },
);

/** Entries of two sparse tensors in order. Where only one has an entry, the other one's is zero. */
function merged(
  a: readonly Entry[],
  b: readonly Entry[],
  combine: (x: number, y: number) => number,
  zero: number,
): Entry[] {
  const found = new Map<string, { at: readonly number[]; x?: Element; y?: Element }>();
  for (const { at, value } of a) found.set(at.join(), { at, x: value });
  for (const { at, value } of b) found.set(at.join(), { ...found.get(at.join()), at, y: value });
  return [...found.values()]
    .map(({ at, x = zero, y = zero }) => ({ at, value: combine(x as number, y as number) }))
    .toSorted((p, q) => compare(p.at, q.at));
}

function zeroOf(dtype: Tensor["dtype"]): number {
  return (dtype === "int64" || dtype === "uint64" ? 0n : 0) as number;
}

/** Operands: coordinates, values, shape of both, then the least magnitude that is kept. */
const add: Lowering = hostOp(
  (op) => sparseTypes(op.input(1).dtype),
  () =>
    ([aIndices, aValues, shape, bIndices, bValues, , threshold]) => {
      const { dtype } = aValues as Tensor;
      const least = Number(elementsOf(threshold as Tensor)[0] ?? 0);
      const entries = merged(
        entriesOf(aIndices as Tensor, aValues as Tensor),
        entriesOf(bIndices as Tensor, bValues as Tensor),
        (x, y) => x + y,
        zeroOf(dtype),
      ).filter(({ value }) => Math.abs(Number(value)) >= least);
      return [indicesOf(entries, (shape as Tensor).data.length), valuesOf(entries, dtype), shape as Tensor];
    },
);

/** Operands: coordinates, values, shape of both. */
function either(combine: (x: number, y: number) => number): Lowering {
  return hostOp(
    (op) => sparseTypes(op.input(1).dtype).slice(0, 2),
    () =>
      ([aIndices, aValues, shape, bIndices, bValues]) => {
        const { dtype } = aValues as Tensor;
        const [a, b] = [
          entriesOf(aIndices as Tensor, aValues as Tensor),
          entriesOf(bIndices as Tensor, bValues as Tensor),
        ];
        const entries = merged(a, b, combine, zeroOf(dtype));
        return [indicesOf(entries, (shape as Tensor).data.length), valuesOf(entries, dtype)];
      },
  );
}

/** New values for the entries of a sparse tensor. Operands: coordinates, values, shape, a dense tensor that broadcasts to it. */
function withDense(combine: (x: number, y: number) => number): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(1).dtype, shape: op.input(1).shape }],
    () =>
      ([indices, values, sizes, dense]) => {
        const { shape, data } = dense as Tensor;
        const rank = (sizes as Tensor).data.length;
        const results = entriesOf(indices as Tensor, values as Tensor).map(({ at, value }) => {
          const own = at.slice(rank - shape.length);
          const place = shape.reduce((offset, size, axis) => offset * size + (size === 1 ? 0 : (own[axis] ?? 0)), 0);
          const other = (data as NumericArray)[place];
          return other === undefined
            ? refuse("its operands do not broadcast")
            : combine(value as number, other as number);
        });
        return [fromElements((values as Tensor).dtype, [results.length], results)];
      },
  );
}

/** Softmax over the entries of each row. */
const softmax: Lowering = hostOp(sameShapeAsValues(), () => ([indices, values]) => {
  const entries = entriesOf(indices as Tensor, values as Tensor);
  const rows = Map.groupBy(entries, ({ at }) => at.slice(0, -1).join());
  const sums = new Map<string, { most: number; sum: number }>();
  for (const [row, members] of rows) {
    const most = Math.max(...members.map(({ value }) => Number(value)));
    sums.set(row, { most, sum: members.reduce((sum, { value }) => sum + Math.exp(Number(value) - most), 0) });
  }
  const results = entries.map(({ at, value }) => {
    const row = sums.get(at.slice(0, -1).join()) ?? { most: 0, sum: 1 };
    return Math.exp(Number(value) - row.most) / row.sum;
  });
  return [fromElements((values as Tensor).dtype, [results.length], results)];
});

function sameShapeAsValues(): (op: Op) => Type[] {
  return (op) => [{ dtype: op.input(1).dtype, shape: op.input(1).shape }];
}

/** A dense tensor with a sparse one added. Operands: coordinates, values, shape, the dense one. */
const addToDense: Lowering = hostOp(
  (op) => [{ dtype: op.input(3).dtype, shape: op.input(3).shape }],
  () =>
    ([indices, values, , dense]) => {
      const { dtype, shape, data } = dense as Tensor;
      const result = data.slice() as NumericArray;
      for (const { at, value } of entriesOf(indices as Tensor, values as Tensor)) {
        const place = shape.reduce((offset, size, axis) => offset * size + (at[axis] ?? 0), 0);
        if (at.some((index, axis) => index < 0 || index >= (shape[axis] ?? 0))) refuse("an index is out of range");
        result[place] = ((result[place] as number) + (value as number)) as never;
      }
      return [{ dtype, shape, data: result }];
    },
);

export const SPARSE_ARITHMETIC: LoweringTable = {
  SparseAdd: add,
  SparseConcat: concat,
  SparseDenseCwiseAdd: withDense((x, y) => x + y),
  SparseDenseCwiseDiv: withDense((x, y) => x / y),
  SparseDenseCwiseMul: withDense((x, y) => x * y),
  SparseReduceMax: reduce((a, b) => (b > a ? b : a)),
  SparseReduceSum: reduce((a, b) => a + b),
  SparseReorder: reorder,
  SparseSlice: slice,
  SparseSoftmax: softmax,
  SparseSparseMaximum: either((x, y) => (y > x ? y : x)),
  SparseSparseMinimum: either((x, y) => (y < x ? y : x)),
  SparseTensorDenseAdd: addToDense,
  SparseTensorDenseMatMul: timesDense,
};
