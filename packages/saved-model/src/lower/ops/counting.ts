// Ops that count, search and sort into groups: sizes of results depend on values, so the host computes.

import { type DType, elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import {
  type Element,
  elementsOf,
  fromElements,
  integers,
  latin1,
  strings,
  stringTensor,
} from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { COMBINE, type Combine, scatterNd } from "../../host/scatter.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { knownInts } from "../value.ts";

type Numeric = Exclude<DType, "string">;

/** No result may be larger. */
const MAX_ELEMENTS = 2 ** 26;

function requireSize(count: number): number {
  return count >= 0 && count <= MAX_ELEMENTS ? count : refuse("a tensor of that size");
}

/** How often each number below `size` occurs, or the sum of its weights. `rows`: for each row of a matrix by itself. */
function bincount(input: Tensor, size: number, weights: Tensor, dtype: Tensor["dtype"], isBinary: boolean): Tensor {
  const values = integers(input);
  const rows = input.shape.length === 2 ? (input.shape[0] ?? 0) : 1;
  const counts = new Float64Array(requireSize(rows * size));
  const width = rows === 0 ? 0 : values.length / rows;
  const added = elementsOf(weights);
  for (const [index, value] of values.entries()) {
    if (value < 0) refuse("a negative number is counted");
    if (value >= size) continue;
    const place = Math.floor(index / width) * size + value;
    counts[place] = isBinary ? 1 : (counts[place] as number) + Number(added[index] ?? 1);
  }
  const elements: Element[] = Array.from(counts, (count) => (dtype === "int64" ? BigInt(count) : count));
  return fromElements(dtype, input.shape.length === 2 ? [rows, size] : [size], elements);
}

const denseBincount: Lowering = hostOp(
  (op) => {
    const size = knownInts(op.input(1))?.[0] ?? -1;
    const { shape } = op.input(0);
    return [{ dtype: op.input(2).dtype, shape: shape && (shape.length === 2 ? [shape[0] ?? -1, size] : [size]) }];
  },
  (op) => {
    const isBinary = op.attributes.bool("binary_output", false);
    const { dtype } = op.input(2);
    return ([input, size, weights]) => [
      bincount(input as Tensor, integers(size as Tensor)[0] ?? 0, weights as Tensor, dtype, isBinary),
    ];
  },
);

const plainBincount: Lowering = hostOp(
  (op) => [{ dtype: op.input(2).dtype, shape: [-1] }],
  (op) =>
    ([input, size, weights]) => {
      const flat = { ...(input as Tensor), shape: [(input as Tensor).data.length] };
      return [bincount(flat, integers(size as Tensor)[0] ?? 0, weights as Tensor, op.input(2).dtype, false)];
    },
);

/** For each row of a ragged matrix. Operands: row splits, values, size, weights. */
const raggedBincount: Lowering = hostOp(
  (op) => [{ dtype: op.input(3).dtype, shape: [-1, knownInts(op.input(2))?.[0] ?? -1] }],
  (op) => {
    const isBinary = op.attributes.bool("binary_output", false);
    const { dtype } = op.input(3);
    return ([splitsOperand, valuesOperand, sizeOperand, weights]) => {
      const splits = integers(splitsOperand as Tensor);
      const values = valuesOperand as Tensor;
      const size = integers(sizeOperand as Tensor)[0] ?? 0;
      requireSize((splits.length - 1) * size);
      const added = weights as Tensor;
      const rows = splits.slice(1).map((end, row) => {
        const part = ({ dtype: type, data }: Tensor): Tensor => {
          const own = data.slice(splits[row], end) as NumericArray;
          return { dtype: type, shape: [own.length], data: own };
        };
        return bincount(part(values), size, added.data.length === 0 ? added : part(added), dtype, isBinary);
      });
      return [fromElements(dtype, [rows.length, size], rows.flatMap(elementsOf))];
    };
  },
);

/** How many values fall into each of `count` even parts of a range; the outer parts take what is beyond. */
const histogram: Lowering = hostOp(
  (op) => [{ dtype: op.attributes.dtype("dtype") ?? "int32", shape: [-1] }],
  (op) => {
    const dtype = op.attributes.dtype("dtype") ?? "int32";
    return ([values, range, bins]) => {
      const [low = 0, high = 0] = elementsOf(range as Tensor).map(Number);
      const count = requireSize(integers(bins as Tensor)[0] ?? 0);
      if (count === 0 || !(low < high)) return refuse("a histogram needs a range and parts");
      const counts = Array<number>(count).fill(0);
      for (const value of elementsOf(values as Tensor)) {
        const part = Math.floor(((Number(value) - low) / (high - low)) * count);
        const place = Math.min(Math.max(part, 0), count - 1);
        counts[place] = (counts[place] ?? 0) + 1;
      }
      return [fromElements(dtype, [count], dtype === "int64" ? counts.map(BigInt) : counts)];
    };
  },
);

/** Where each value would go in its sorted row. `goesOn`: whether the place lies behind an element. */
function bound(goesOn: (element: number | bigint, value: number | bigint) => boolean): Lowering {
  return hostOp(
    (op) => [{ dtype: op.attributes.dtype("out_type") ?? "int32", shape: op.input(1).shape }],
    (op) => {
      const dtype = op.attributes.dtype("out_type") ?? "int32";
      return ([sorted, values]) => {
        const [rows, asked] = [sorted as Tensor, values as Tensor];
        const [width = 0, each = 0] = [rows.shape[1], asked.shape[1]];
        const elements = rows.data as NumericArray;
        const places = Array.from(asked.data as Float32Array, (value, index): number => {
          const first = Math.floor(index / each) * width;
          let [low, high] = [0, width];
          while (low < high) {
            const middle = (low + high) >> 1;
            if (goesOn(elements[first + middle] as number, value)) low = middle + 1;
            else high = middle;
          }
          return low;
        });
        return [fromElements(dtype, asked.shape, dtype === "int64" ? places.map(BigInt) : places)];
      };
    },
  );
}

/** Whether each row's target is among its `k` largest. Operands: predictions, targets, k. */
const inTopK: Lowering = hostOp(
  (op) => [{ dtype: "bool", shape: op.input(1).shape }],
  (op) => {
    const fixed = op.attributes.int("k", 0);
    return ([predictions, targets, k]) => {
      const { shape, data } = predictions as Tensor;
      const width = shape[1] ?? 0;
      const most = k ? (integers(k)[0] ?? 0) : fixed;
      const isIn = integers(targets as Tensor).map((target, row) => {
        const scores = (data as Float32Array).subarray(row * width, (row + 1) * width);
        const own = scores[target];
        if (own === undefined || scores.some((score) => !Number.isFinite(score))) return 0;
        return scores.reduce((count, score) => count + Number(score > own), 0) < most ? 1 : 0;
      });
      return [{ dtype: "bool", shape: (targets as Tensor).shape, data: Uint8Array.from(isIn) }];
    };
  },
);

/** Rows of a tensor, each as its elements. */
function rowsOf({ shape, data }: Tensor, depth: number): { size: number; row: (index: number) => ArrayLike<unknown> } {
  const size = elementCount(shape.slice(depth));
  return { size, row: (index) => data.slice(index * size, (index + 1) * size) };
}

function fromRows(like: Tensor, shape: readonly number[], rows: readonly ArrayLike<unknown>[]): Tensor {
  if (like.dtype === "string")
    return stringTensor(
      shape,
      rows.flatMap((row) => Array.from(row as ArrayLike<Uint8Array>)),
    );
  const data = newArray(like.dtype, elementCount(shape));
  const size = rows[0]?.length ?? 0;
  for (const [index, row] of rows.entries()) data.set(row as never, index * size);
  return { dtype: like.dtype, shape, data };
}

const dynamicPartition: Lowering = hostOp(
  (op) => {
    const { dtype, shape } = op.input(0);
    const rest = shape?.slice(op.input(1).shape?.length ?? 1);
    return Array.from({ length: op.attributes.int("num_partitions", 1) }, () => ({
      dtype,
      shape: rest && [-1, ...rest],
    }));
  },
  (op) => {
    const count = op.attributes.int("num_partitions", 1);
    return ([data, partitions]) => {
      const [value, groups] = [data as Tensor, partitions as Tensor];
      const { row } = rowsOf(value, groups.shape.length);
      const parts = Array.from({ length: count }, (): ArrayLike<unknown>[] => []);
      for (const [index, group] of integers(groups).entries()) {
        (parts[group] ?? refuse("a group that does not exist")).push(row(index));
      }
      const rest = value.shape.slice(groups.shape.length);
      return parts.map((rows) => fromRows(value, [rows.length, ...rest], rows));
    };
  },
);

/** Operands: all indices, then all data; later ones win. */
const dynamicStitch: Lowering = hostOp(
  (op) => {
    const count = op.inputs.length / 2;
    const [indices, data] = [op.input(0), op.input(count)];
    const rest = data.shape?.slice(indices.shape?.length ?? 0);
    return [{ dtype: data.dtype, shape: rest && indices.shape && [-1, ...rest] }];
  },
  () => (inputs) => {
    const count = inputs.length / 2;
    const rows = new Map<number, ArrayLike<unknown>>();
    const [first, like] = [inputs[0] as Tensor, inputs[count] as Tensor];
    for (let each = 0; each < count; each++) {
      const indices = inputs[each] as Tensor;
      const { row } = rowsOf(inputs[count + each] as Tensor, indices.shape.length);
      for (const [index, place] of integers(indices).entries()) rows.set(place, row(index));
    }
    const length = requireSize(Math.max(-1, ...rows.keys()) + 1);
    const rest = like.shape.slice(first.shape.length);
    const blank = Array.from({ length: elementCount(rest) }, () => 0);
    const all = Array.from({ length }, (_, index) => rows.get(index) ?? blank);
    return [fromRows(like, [length, ...rest], all)];
  },
);

/** Rows combined by segment in any order; `start` is what a segment without rows has. */
function unsortedSegment(combine: Combine, start: (dtype: Numeric) => number | bigint): Lowering {
  return hostOp(
    (op) => {
      const [data, ids] = [op.input(0), op.input(1)];
      const rest = data.shape?.slice(ids.shape?.length ?? 1);
      return [{ dtype: data.dtype, shape: rest && [knownInts(op.input(2))?.[0] ?? -1, ...rest] }];
    },
    (op) => {
      const { dtype } = op.input(0);
      if (dtype === "string" || dtype === "half" || dtype === "bfloat16") return unlowerable(`on ${dtype}`);
      const from = start(dtype);
      return ([data, ids, counts]) => {
        const [value, segments] = [data as Tensor, ids as Tensor];
        const rest = value.shape.slice(segments.shape.length);
        const count = requireSize((integers(counts as Tensor)[0] ?? 0) * elementCount(rest));
        const blank = newArray(dtype, count).fill(
          (typeof newArray(dtype, 1)[0] === "bigint" ? BigInt(from) : from) as never,
        );
        const shape = [integers(counts as Tensor)[0] ?? 0, ...rest];
        // Rows of a negative segment are left out.
        const kept = [...integers(segments).entries()].filter(([, id]) => id >= 0);
        const { row } = rowsOf(value, segments.shape.length);
        const rows = kept.map(([index]) => row(index));
        const indices: Tensor = {
          dtype: "int32",
          shape: [kept.length, 1],
          data: Int32Array.from(kept, ([, id]) => id),
        };
        return [
          scatterNd({ dtype, shape, data: blank }, indices, fromRows(value, [rows.length, ...rest], rows), combine),
        ];
      };
    },
  );
}

/** The least and the largest number of a dtype, as far as numbers hold it. */
function limit(dtype: Numeric, sign: 1 | -1): number | bigint {
  const limits: Readonly<Record<string, readonly [number, number] | readonly [bigint, bigint]>> = {
    float: [-3.4028234663852886e38, 3.4028234663852886e38],
    double: [-Number.MAX_VALUE, Number.MAX_VALUE],
    int8: [-(2 ** 7), 2 ** 7 - 1],
    int16: [-(2 ** 15), 2 ** 15 - 1],
    int32: [-(2 ** 31), 2 ** 31 - 1],
    int64: [-(2n ** 63n), 2n ** 63n - 1n],
    uint8: [0, 2 ** 8 - 1],
    uint16: [0, 2 ** 16 - 1],
    uint32: [0, 2 ** 32 - 1],
    uint64: [0n, 2n ** 64n - 1n],
  };
  const pair = limits[dtype] ?? unlowerable(`on ${dtype}`);
  return pair[sign === 1 ? 1 : 0];
}

/** Strings joined by segment. */
const segmentJoin: Lowering = hostOp(
  (op) => {
    const [data, ids] = [op.input(0), op.input(1)];
    const rest = data.shape?.slice(ids.shape?.length ?? 1);
    return [{ dtype: "string", shape: rest && [-1, ...rest] }];
  },
  (op) => {
    const separator = op.attributes.string("separator", "");
    return ([data, ids, counts]) => {
      const [value, segments] = [data as Tensor, ids as Tensor];
      const rest = value.shape.slice(segments.shape.length);
      const count = requireSize(integers(counts as Tensor)[0] ?? 0);
      const size = elementCount(rest);
      const parts = Array.from({ length: count * size }, (): string[] => []);
      const texts = strings(value);
      for (const [row, id] of integers(segments).entries()) {
        if (id >= count) refuse("a segment that does not exist");
        if (id < 0) continue;
        for (let i = 0; i < size; i++) parts[id * size + i]?.push(latin1(texts[row * size + i] ?? new Uint8Array()));
      }
      return [
        fromElements(
          "string",
          [count, ...rest],
          parts.map((each) => each.join(separator)),
        ),
      ];
    };
  },
);

/** What of one list is not in another, and where it was. */
const listDiff: Lowering = hostOp(
  (op) => [
    { dtype: op.input(0).dtype, shape: [-1] },
    { dtype: op.attributes.dtype("out_idx") ?? "int32", shape: [-1] },
  ],
  (op) => {
    const dtype = op.attributes.dtype("out_idx") ?? "int32";
    return ([x, y]) => {
      const without = new Set(elementsOf(y as Tensor));
      const kept = [...elementsOf(x as Tensor).entries()].filter(([, element]) => !without.has(element));
      const places = kept.map(([index]) => index);
      return [
        fromElements(
          (x as Tensor).dtype,
          [kept.length],
          kept.map(([, element]) => element),
        ),
        fromElements(dtype, [kept.length], dtype === "int64" ? places.map(BigInt) : places),
      ];
    };
  },
);

function tensorScatter(combine: Combine): Lowering {
  return hostOp(
    sameShape((op) => op.input(0).dtype),
    () =>
      ([tensor, indices, updates]) => [scatterNd(tensor as Tensor, indices as Tensor, updates as Tensor, combine)],
  );
}

export const COUNTING: LoweringTable = {
  Bincount: plainBincount,
  DenseBincount: denseBincount,
  DynamicPartition: dynamicPartition,
  DynamicStitch: dynamicStitch,
  HistogramFixedWidth: histogram,
  InTopK: inTopK,
  InTopKV2: inTopK,
  ListDiff: listDiff,
  LowerBound: bound((element, value) => element < value),
  ParallelDynamicStitch: dynamicStitch,
  RaggedBincount: raggedBincount,
  TensorScatterMax: tensorScatter(COMBINE.Max),
  TensorScatterMin: tensorScatter(COMBINE.Min),
  TensorScatterSub: tensorScatter(COMBINE.Sub),
  UnsortedSegmentJoin: segmentJoin,
  UnsortedSegmentMax: unsortedSegment(COMBINE.Max, (dtype) => limit(dtype, -1)),
  UnsortedSegmentMin: unsortedSegment(COMBINE.Min, (dtype) => limit(dtype, 1)),
  UnsortedSegmentProd: unsortedSegment(COMBINE.Mul, () => 1),
  UpperBound: bound((element, value) => element <= value),
};
