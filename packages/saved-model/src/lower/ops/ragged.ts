// Ragged tensors: values, and for each ragged axis where its rows begin. Sizes depend on values, so the host rearranges them.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import {
  type Element,
  elementsOf,
  fromElements,
  int64Tensor,
  integers,
  strings,
  stringTensor,
} from "../../host/elements.ts";
import { joinRagged, readRagged, rowsOf, writeRagged } from "../../host/ragged.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownElements } from "../value.ts";

/** No dense tensor may be larger. */
const MAX_ELEMENTS = 2 ** 26;

function requireSize(count: number): number {
  return count >= 0 && count <= MAX_ELEMENTS ? count : refuse("a tensor of that size");
}

function splitsTensor(dtype: "int32" | "int64", splits: readonly number[]): Tensor {
  return fromElements(dtype, [splits.length], dtype === "int64" ? splits.map(BigInt) : splits);
}

function splitsType(op: Op): "int32" | "int64" {
  return op.attributes.dtype("Tsplits") === "int32" ? "int32" : "int64";
}

/** Where each row begins, from the row numbers of all values. */
function splitsOf(rowIds: readonly number[], rows: number): number[] {
  const counts = Array<number>(requireSize(rows) + 1).fill(0);
  for (const id of rowIds) if (id >= 0 && id < rows) counts[id + 1] = (counts[id + 1] ?? 0) + 1;
  let total = 0;
  return counts.map((count) => (total += count));
}

/** The partitions of each ragged axis as splits, whichever way the operands give them. */
function partitionsOf(kinds: readonly string[], operands: readonly (readonly number[])[]): number[][] {
  const [first = ""] = kinds;
  if (first === "ROW_SPLITS") return operands.map((each) => [...each]);
  let rows = operands[0]?.[0] ?? 0;
  return operands.slice(1).map((ids) => {
    const splits = splitsOf(ids, rows);
    rows = ids.length;
    return splits;
  });
}

/** Operands: wanted shape, values, default, then the partitions of the ragged axes. */
const toTensor: Lowering = hostOp(
  (op) => {
    const depth = op.attributes.strings("row_partition_types").filter((kind) => kind !== "FIRST_DIM_SIZE").length;
    const wanted = knownElements(op.input(0));
    const inner = op.input(1).shape?.slice(1);
    const shape = inner && [...Array<number>(depth + 1).fill(-1), ...inner];
    return [
      { dtype: op.input(1).dtype, shape: shape?.map((size, axis) => (size >= 0 ? size : (wanted?.[axis] ?? -1))) },
    ];
  },
  (op) => {
    const kinds = op.attributes.strings("row_partition_types");
    const isKnown =
      kinds.every((kind) => kind === "ROW_SPLITS") || kinds.slice(1).every((kind) => kind === "VALUE_ROWIDS");
    if (!isKnown) unlowerable(`rows given by ${kinds.join()}`);
    return ([wanted, values, fallback, ...partitions]) => {
      const { shape, dtype } = values as Tensor;
      const splits = partitionsOf(kinds, partitions.map(integers));
      const inner = shape.slice(1);
      const sizes = sizesOf(splits, integers(wanted as Tensor));
      const whole = [...sizes, ...inner];
      const dense = Array<Element>(requireSize(elementCount(whole)));
      const other = elementsOf(fallback as Tensor);
      for (let index = 0; index < dense.length; index++) dense[index] = other[index % other.length] ?? 0;
      const elements = elementsOf(values as Tensor);
      const width = elementCount(inner);
      const place = (axis: number, row: number, offset: number): void => {
        if (axis === splits.length) {
          for (let i = 0; i < width; i++) dense[offset * width + i] = elements[row * width + i] ?? 0;
          return;
        }
        const [begin = 0, end = 0] = [splits[axis]?.[row], splits[axis]?.[row + 1]];
        const size = sizes[axis + 1] ?? 0;
        for (let column = 0; column < Math.min(end - begin, size); column++) {
          place(axis + 1, begin + column, offset * size + column);
        }
      };
      const rows = Math.min(sizes[0] ?? 0, (splits[0]?.length ?? 1) - 1);
      for (let row = 0; row < rows; row++) place(0, row, row);
      return [fromElements(dtype, whole, dense)];
    };
  },
);

/** The size of each axis down to the last ragged one: what is wanted, else the longest row. */
function sizesOf(splits: readonly (readonly number[])[], wanted: readonly number[]): number[] {
  const longest = splits.map((each) =>
    each.slice(1).reduce((most, end, row) => Math.max(most, end - (each[row] ?? 0)), 0),
  );
  const natural = [(splits[0]?.length ?? 1) - 1, ...longest];
  return natural.map((size, axis) => {
    const asked = wanted[axis] ?? -1;
    return asked >= 0 ? asked : size;
  });
}

/** Rows of a ragged tensor by number. Operands: the splits, outermost first, the values, the numbers. */
const gather: Lowering = hostOp(
  (op) => {
    const depth = op.attributes.int("OUTPUT_RAGGED_RANK", 1);
    const dtype = splitsType(op);
    const values = op.input(op.attributes.int("PARAMS_RAGGED_RANK", 1));
    const splits = Array.from({ length: depth }, () => ({ dtype, shape: [-1] }));
    return [...splits, { dtype: values.dtype, shape: values.shape && [-1, ...values.shape.slice(1)] }];
  },
  (op) => {
    const depth = op.attributes.int("PARAMS_RAGGED_RANK", 1);
    const dtype = splitsType(op);
    return (inputs) => {
      const splits = inputs.slice(0, depth).map(integers);
      const [values, indices] = [inputs[depth] as Tensor, inputs[depth + 1] as Tensor];
      let rows = integers(indices);
      const made: Tensor[] = [];
      // Indices of several axes make ragged axes of even rows around the chosen ones.
      let outer = 1;
      for (let axis = 0; axis + 1 < indices.shape.length; axis++) {
        outer *= indices.shape[axis] ?? 0;
        const size = indices.shape[axis + 1] ?? 0;
        made.push(
          splitsTensor(
            dtype,
            Array.from({ length: outer + 1 }, (_, row) => row * size),
          ),
        );
      }
      for (const each of splits) {
        const ends = [0];
        const next: number[] = [];
        for (const row of rows) {
          const [begin, end] = [each[row], each[row + 1]];
          if (begin === undefined || end === undefined) return refuse("an index is out of range");
          for (let at = begin; at < end; at++) next.push(at);
          ends.push(requireSize(next.length));
        }
        made.push(splitsTensor(dtype, ends));
        rows = next;
      }
      const width = elementCount(values.shape.slice(1));
      const elements = elementsOf(values);
      const taken = rows.flatMap((row) => elements.slice(row * width, (row + 1) * width));
      return [...made, fromElements(values.dtype, [rows.length, ...values.shape.slice(1)], taken)];
    };
  },
);

/** For each row the numbers from a start to a limit. */
const range: Lowering = hostOp(
  (op) => [
    { dtype: splitsType(op), shape: [-1] },
    { dtype: op.input(0).dtype, shape: [-1] },
  ],
  (op) => {
    const dtype = splitsType(op);
    return (inputs) => {
      const columns = inputs.map((each) => elementsOf(each).map(Number));
      const rows = Math.max(...inputs.map(({ shape, data }) => (shape.length === 0 ? 1 : data.length)));
      const count = inputs.every(({ shape }) => shape.length === 0)
        ? 1
        : inputs.some(({ data }) => data.length === 0)
          ? 0
          : rows;
      const at = (column: number, row: number): number =>
        columns[column]?.[columns[column]?.length === 1 ? 0 : row] ?? 0;
      const ends = [0];
      const values: number[] = [];
      for (let row = 0; row < count; row++) {
        const [start, limit, delta] = [at(0, row), at(1, row), at(2, row)];
        if (delta === 0) refuse("a range without a step");
        const length = Math.max(Math.ceil((limit - start) / delta), 0);
        requireSize(values.length + length);
        for (let i = 0; i < length; i++) values.push(start + i * delta);
        ends.push(values.length);
      }
      const { dtype: type } = inputs[0] as Tensor;
      return [
        splitsTensor(dtype, ends),
        fromElements(type, [values.length], type === "int64" ? values.map(BigInt) : values),
      ];
    };
  },
);

/** Coordinates, values and shape. Operands: the splits, outermost first, and the values. */
const toSparse: Lowering = hostOp(
  (op) => [
    { dtype: "int64", shape: [-1, -1] },
    { dtype: op.input(op.inputs.length - 1).dtype, shape: [-1] },
    { dtype: "int64", shape: [-1] },
  ],
  () => (inputs) => {
    const splits = inputs.slice(0, -1).map(integers);
    const values = inputs.at(-1) as Tensor;
    const inner = values.shape.slice(1);
    const coordinates: number[] = [];
    const visit = (axis: number, row: number, prefix: readonly number[]): void => {
      if (axis === splits.length) {
        for (let i = 0; i < elementCount(inner); i++) {
          let rest = i;
          const own = inner.map((_, place) => {
            const size = elementCount(inner.slice(place + 1));
            const index = Math.floor(rest / size);
            rest %= size;
            return index;
          });
          coordinates.push(...prefix, ...own);
        }
        return;
      }
      const [begin = 0, end = 0] = [splits[axis]?.[row], splits[axis]?.[row + 1]];
      for (let at = begin; at < end; at++) visit(axis + 1, at, [...prefix, at - begin]);
    };
    const rows = (splits[0]?.length ?? 1) - 1;
    for (let row = 0; row < rows; row++) visit(0, row, [row]);
    const shape = [...sizesOf(splits, []), ...inner];
    return [
      int64Tensor([coordinates.length / shape.length, shape.length], coordinates),
      { ...values, shape: [elementCount(values.shape)] },
      int64Tensor([shape.length], shape),
    ];
  },
);

/** Operands: the splits, outermost first, and the values. Gives one variant, or where the input is batched one for each row. */
const toVariant: Lowering = hostOp(
  (op) => [{ dtype: "string", shape: op.attributes.bool("batched_input", false) ? [-1] : [] }],
  (op) => {
    const isBatched = op.attributes.bool("batched_input", false);
    return (inputs) => {
      const ragged = { splits: inputs.slice(0, -1).map(integers), values: inputs.at(-1) as Tensor };
      if (!isBatched) return [stringTensor([], [writeRagged(ragged)])];
      const rows = rowsOf(ragged).map(writeRagged);
      return [stringTensor([rows.length], rows)];
    };
  },
);

/** The splits and the values of all variants behind each other: each axis of the operand becomes a ragged one. */
const fromVariant: Lowering = hostOp(
  (op) => {
    const splits = Array.from({ length: op.attributes.int("output_ragged_rank", 0) }, () => ({
      dtype: splitsType(op),
      shape: [-1],
    }));
    return [...splits, { dtype: op.attributes.requireDType("Tvalues"), shape: undefined }];
  },
  (op) => {
    const depth = op.attributes.int("output_ragged_rank", 0);
    const dtype = op.attributes.requireDType("Tvalues");
    return ([variants]) => {
      const { shape } = variants as Tensor;
      const parts = strings(variants as Tensor).map((bytes) => readRagged(bytes, dtype));
      const { splits, values } = joinRagged(parts, shape, depth - shape.length, dtype);
      return [...splits.map((each) => splitsTensor(splitsType(op), each)), values];
    };
  },
);

export const RAGGED: LoweringTable = {
  RaggedGather: gather,
  RaggedRange: range,
  RaggedTensorFromVariant: fromVariant,
  RaggedTensorToSparse: toSparse,
  RaggedTensorToTensor: toTensor,
  RaggedTensorToVariant: toVariant,
};
