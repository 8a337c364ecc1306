import { DTYPES } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import {
  CHANNELS_FIRST_AXIS,
  knownElements,
  knownInts,
  normalizeAxis,
  type Shape,
  type TensorValue,
} from "../value.ts";
import { integerConstant } from "./shape.ts";

const isInteger = (value: TensorValue): boolean => value.dtype === "int32" || value.dtype === "int64";

/** A vector of elements as a constant where all are known, else with the known ones noted. */
function withElements(op: Op, value: TensorValue, elements: readonly (number | undefined)[] | undefined): TensorValue {
  if (!elements || !isInteger(value)) return value;
  if (!elements.every((item) => item !== undefined)) return { ...value, elements };
  return integerConstant(op.emit, value.dtype, elements, value.shape?.length === 0 ? [] : [elements.length]);
}

const concat: Lowering = (op) => {
  const isV2 = op.node.op === "ConcatV2";
  const values = isV2 ? op.inputs.slice(0, -1) : op.inputs.slice(1);
  const [axis = 0] = knownInts(isV2 ? op.inputs.at(-1) : op.inputs[0]) ?? unlowerable("an axis that is computed");
  const [first] = values;
  if (!first) return unlowerable("without operands");
  if (values.length === 1) return first;
  const rank = values.find(({ shape }) => shape)?.shape?.length;
  const place = rank === undefined ? axis : normalizeAxis(axis, rank);
  const shape = concatShape(values, place);
  const { dtype } = first;
  if (rank === 4 && values.some((value) => op.emit.prefersChannelsFirst(value))) {
    const names = values.map((value) => op.emit.channelsFirst(value));
    return op.emit.channelsFirstNode("Concat", names, { dtype, shape }, { axis: CHANNELS_FIRST_AXIS[place] ?? place });
  }
  const names = values.map((value) => op.emit.plain(value));
  const whole = op.emit.plainNode("Concat", names, { dtype, shape }, { axis: place });
  const parts = values.map(elementsOfVector);
  return withElements(op, whole, parts.every((part) => part !== undefined) ? parts.flat() : undefined);
};

/** The elements of a vector whose length is known, each as far as it is known. */
function elementsOfVector(value: TensorValue): readonly (number | undefined)[] | undefined {
  if (value.shape?.length !== 1) return undefined;
  const [length = -1] = value.shape;
  return knownElements(value) ?? (length < 0 ? undefined : Array<undefined>(length).fill(undefined));
}

function concatShape(values: readonly TensorValue[], axis: number): Shape {
  const shapes = values.map(({ shape }) => shape);
  if (!shapes.every((shape) => shape !== undefined)) return undefined;
  return shapes[0]?.map((size, place) => {
    const sizes = shapes.map((shape) => shape[place] ?? -1);
    if (place !== axis) return Math.max(size, ...sizes);
    return sizes.includes(-1) ? -1 : sizes.reduce((a, b) => a + b, 0);
  });
}

const pack: Lowering = (op) => {
  const axis = op.attributes.int("axis", 0);
  const { dtype, shape } = op.input(0);
  const place = shape ? normalizeAxis(axis, shape.length + 1) : axis;
  const wide = shape?.toSpliced(place, 0, op.inputs.length);
  const names = op.inputs.map((value) => op.emit.node("Unsqueeze", [op.emit.plain(value), op.emit.ints([place])])[0]);
  const packed = op.emit.plainNode("Concat", names, { dtype, shape: wide }, { axis: place });
  return withElements(
    op,
    packed,
    shape?.length === 0 ? op.inputs.map((value) => knownElements(value)?.[0]) : undefined,
  );
};

const unpack: Lowering = (op) => {
  const value = op.input(0);
  const count = op.attributes.int("num", 0);
  const given = op.attributes.int("axis", 0);
  const axis = value.shape ? normalizeAxis(given, value.shape.length) : given;
  const shape = value.shape?.toSpliced(axis, 1);
  const source = op.emit.plain(value);
  if ((value.shape?.[axis] ?? -1) < 0) return unpackUnknown(op, source, axis, count, shape);
  const elements = value.shape?.length === 1 ? knownElements(value) : undefined;
  return Array.from({ length: count }, (_, index) => {
    const part = op.emit.plainNode("Gather", [source, op.emit.int(index)], { dtype: value.dtype, shape }, { axis });
    return withElements(op, part, elements && [elements[index]]);
  });
};

/** A split refuses another number of parts than is said, as TensorFlow does. */
function unpackUnknown(op: Op, source: string, axis: number, count: number, shape: Shape): TensorValue[] {
  const { emit } = op;
  const { dtype } = op.input(0);
  if (count === 0) return [];
  const parts = emit.node("Split", [source, emit.ints(Array<number>(count).fill(1))], { axis }, count);
  return parts.map((part) => emit.plainNode("Squeeze", [part, emit.ints([axis])], { dtype, shape }));
}

function splitInto(op: Op, value: TensorValue, axis: number, sizes: readonly number[]): TensorValue[] {
  const rank = value.shape?.length;
  const place = rank === undefined ? axis : normalizeAxis(axis, rank);
  const isImage = rank === 4 && op.emit.prefersChannelsFirst(value);
  const source = isImage ? op.emit.channelsFirst(value) : op.emit.plain(value);
  const attributes = { axis: isImage ? (CHANNELS_FIRST_AXIS[place] ?? place) : place };
  const names = op.emit.node("Split", [source, op.emit.ints(sizes)], attributes, sizes.length);
  return names.map((name, index): TensorValue => {
    const shape = value.shape?.with(place, sizes[index] ?? -1);
    const type = { kind: "tensor", dtype: value.dtype, shape } as const;
    return isImage ? Object.assign(type, { channelsFirst: name }) : Object.assign(type, { plain: name });
  });
}

const split: Lowering = (op) => {
  const [axis = 0] = knownInts(op.input(0)) ?? unlowerable("an axis that is computed");
  const value = op.input(1);
  const count = op.attributes.int("num_split", 1);
  const size = value.shape?.at(axis) ?? -1;
  if (size < 0) {
    const names = op.emit.node("Split", [op.emit.plain(value)], { axis }, count);
    return names.map((plain) => ({ kind: "tensor", dtype: value.dtype, shape: value.shape, plain }));
  }
  if (size % count !== 0) unlowerable("into parts of different sizes");
  return splitInto(op, value, axis, Array<number>(count).fill(size / count));
};

const splitV: Lowering = (op) => {
  const value = op.input(0);
  const sizes = knownInts(op.input(1)) ?? unlowerable("sizes that are computed");
  const [axis = 0] = knownInts(op.input(2)) ?? unlowerable("an axis that is computed");
  const total = value.shape?.at(axis) ?? -1;
  if (sizes.includes(-1) && total < 0) unlowerable("a rest of unknown size");
  const given = sizes.filter((size) => size >= 0).reduce((a, b) => a + b, 0);
  return splitInto(
    op,
    value,
    axis,
    sizes.map((size) => (size < 0 ? total - given : size)),
  );
};

const gather: Lowering = (op) => {
  const [value, indices] = [op.input(0), op.input(1)];
  const [axis = 0] = op.inputs[2] ? (knownInts(op.inputs[2]) ?? unlowerable("an axis that is computed")) : [0];
  const batchDims = op.attributes.int("batch_dims", 0);
  if (batchDims !== 0) return batchGather(op, axis, batchDims);
  const place = value.shape ? normalizeAxis(axis, value.shape.length) : axis;
  const shape = value.shape && indices.shape && value.shape.toSpliced(place, 1, ...indices.shape);
  const part = op.emit.plainNode(
    "Gather",
    [op.emit.plain(value), op.emit.asInt64(indices)],
    { dtype: value.dtype, shape },
    { axis: place },
  );
  const elements = value.shape?.length === 1 ? knownElements(value) : undefined;
  const chosen = indices.shape && indices.shape.length <= 1 ? knownInts(indices) : undefined;
  return withElements(op, part, elements && chosen?.map((index) => elements[index]));
};

/** Each row of the batch has indices of its own: ONNX's GatherND takes them one by one. */
function batchGather(op: Op, axis: number, batchDims: number): TensorValue {
  const [value, indices] = [op.input(0), op.input(1)];
  const rank = value.shape?.length ?? unlowerable("batch dimensions and unknown rank");
  const batch_dims = batchDims < 0 ? batchDims + (indices.shape?.length ?? 0) : batchDims;
  if (normalizeAxis(axis, rank) !== batch_dims) unlowerable("an axis behind the batch dimensions");
  const shape = indices.shape && value.shape && [...indices.shape, ...value.shape.slice(batch_dims + 1)];
  const { emit } = op;
  const [wide] = emit.node("Unsqueeze", [emit.asInt64(indices), emit.ints([-1])]);
  return emit.plainNode("GatherND", [emit.plain(value), wide], { dtype: value.dtype, shape }, { batch_dims });
}

/** Rows of a tensor replaced by others, or added to. */
function tensorScatter(attributes: Readonly<Record<string, string>>): Lowering {
  return (op) => {
    const { dtype, shape } = op.input(0);
    const operands = [op.emit.plain(op.input(0)), op.emit.asInt64(op.input(1)), op.emit.plain(op.input(2))];
    return op.emit.plainNode("ScatterND", operands, { dtype, shape }, attributes);
  };
}

/** Lengths of rows that are turned around; operands: tensor, lengths. */
const reverseSequence: Lowering = (op) => {
  const attributes = { batch_axis: op.attributes.int("batch_dim", 0), time_axis: op.attributes.int("seq_dim", 0) };
  if (attributes.batch_axis + attributes.time_axis !== 1) unlowerable("axes behind the first two");
  return op.emit.plainNode(
    "ReverseSequence",
    [op.emit.plain(op.input(0)), op.emit.asInt64(op.input(1))],
    op.input(0),
    attributes,
  );
};

const gatherNd: Lowering = (op) => {
  const [value, indices] = [op.input(0), op.input(1)];
  const depth = indices.shape?.at(-1) ?? -1;
  const shape =
    depth >= 0 && value.shape && indices.shape
      ? [...indices.shape.slice(0, -1), ...value.shape.slice(depth)]
      : undefined;
  const batch_dims = op.attributes.int("batch_dims", 0);
  return op.emit.plainNode(
    "GatherND",
    [op.emit.plain(value), op.emit.asInt64(indices)],
    { dtype: value.dtype, shape },
    { batch_dims },
  );
};

const slice: Lowering = (op) => {
  const [value, begin, size] = [op.input(0), op.input(1), op.input(2)];
  const starts = knownInts(begin);
  const sizes = knownInts(size);
  if (!starts || !sizes) return dynamicSlice(op, value, begin, size);
  const ends = starts.map((start, axis) =>
    (sizes[axis] ?? -1) < 0 ? Number.MAX_SAFE_INTEGER : start + (sizes[axis] ?? 0),
  );
  const axes = starts.map((_, axis) => axis);
  const shape = value.shape?.map((total, axis) => {
    const length = sizes[axis] ?? -1;
    return length >= 0 || total < 0 ? length : total - (starts[axis] ?? 0);
  });
  const names = [op.emit.plain(value), op.emit.ints(starts), op.emit.ints(ends), op.emit.ints(axes)];
  const part = op.emit.plainNode("Slice", names, { dtype: value.dtype, shape });
  const elements = value.shape?.length === 1 ? knownElements(value) : undefined;
  return withElements(op, part, elements?.slice(starts[0], ends[0]));
};

function dynamicSlice(op: Op, value: TensorValue, begin: TensorValue, size: TensorValue): TensorValue {
  const { emit } = op;
  const [starts, sizes] = [emit.asInt64(begin), emit.asInt64(size)];
  const [isRest] = emit.node("Less", [sizes, emit.int(0)]);
  const [ends] = emit.node("Where", [isRest, emit.int(Number.MAX_SAFE_INTEGER), emit.node("Add", [starts, sizes])[0]]);
  const shape = value.shape?.map((_, axis) => knownElements(size)?.[axis] ?? -1);
  return emit.plainNode("Slice", [emit.plain(value), starts, ends], { dtype: value.dtype, shape });
}

const oneHot: Lowering = (op) => {
  const [indices, depth, on, off] = [op.input(0), op.input(1), op.input(2), op.input(3)];
  const axis = op.attributes.int("axis", -1);
  // ONNX Runtime makes one-hot rows of few dtypes; what is no float is made as int64.
  const made = ["float", "double", "half", "bfloat16"].includes(on.dtype) ? "float" : "int64";
  const inMade = (value: TensorValue): string =>
    value.dtype === made ? op.emit.plain(value) : op.emit.cast(op.emit.plain(value), made);
  const values = op.emit.node(
    "Concat",
    [off, on].map((value) => op.emit.node("Unsqueeze", [inMade(value), op.emit.ints([0])])[0]),
    { axis: 0 },
  )[0];
  const { shape } = indices;
  const place = shape && normalizeAxis(axis, shape.length + 1);
  const wide = shape && place !== undefined ? shape.toSpliced(place, 0, knownInts(depth)?.[0] ?? -1) : undefined;
  // ONNX counts negative indices from the end, TensorFlow gives them no "on": such indices become one that is out of range.
  const { emit } = op;
  const wanted = emit.asInt64(indices);
  const [isNegative] = emit.node("Less", [wanted, emit.int(0)]);
  const [safe] = emit.node("Where", [isNegative, emit.asInt64(depth), wanted]);
  const [rows] = emit.node("OneHot", [safe, emit.asInt64(depth), values], { axis });
  return {
    kind: "tensor",
    dtype: on.dtype,
    shape: wide,
    plain: on.dtype === made ? rows : emit.cast(rows, on.dtype),
  };
};

/** Coordinates of the true elements: ONNX gives them as columns. */
const where: Lowering = (op) => {
  const value = op.input(0);
  const { emit } = op;
  const condition = value.dtype === "bool" ? emit.plain(value) : emit.cast(emit.plain(value), "bool");
  const [columns] = emit.node("NonZero", [condition]);
  return emit.plainNode(
    "Transpose",
    [columns],
    { dtype: "int64", shape: [-1, value.shape?.length ?? -1] },
    { perm: [1, 0] },
  );
};

/** Each axis is read from its last element to its first. */
const reverse: Lowering = (op) => {
  const value = op.input(0);
  const axes = knownInts(op.input(1)) ?? unlowerable("axes that are computed");
  if (axes.length === 0) return value;
  const each = (bound: number): string => op.emit.ints(axes.map(() => bound));
  const bounds = [each(-1), each(-Number.MAX_SAFE_INTEGER), op.emit.ints(axes), each(-1)];
  return op.emit.plainNode("Slice", [op.emit.plain(value), ...bounds], value);
};

/** Updates of the same place add up. */
const scatterNd: Lowering = (op) => {
  const [indices, updates, shape] = [op.input(0), op.input(1), op.input(2)];
  const { emit } = op;
  const type = { dtype: updates.dtype, shape: knownElements(shape)?.map((size) => size ?? -1) };
  const [zero] = emit.node("Cast", [emit.int(0)], { to: DTYPES[updates.dtype].onnx });
  const [zeros] = emit.node("Expand", [zero, emit.asInt64(shape)]);
  const operands = [zeros, emit.asInt64(indices), emit.plain(updates)];
  return emit.plainNode("ScatterND", operands, type, { reduction: "add" });
};

export const SLICING: LoweringTable = {
  Concat: concat,
  ConcatV2: concat,
  Gather: gather,
  GatherNd: gatherNd,
  GatherV2: gather,
  OneHot: oneHot,
  Pack: pack,
  ResourceGather: gather,
  ResourceGatherNd: gatherNd,
  ReverseSequence: reverseSequence,
  ReverseV2: reverse,
  ScatterNd: scatterNd,
  Slice: slice,
  Split: split,
  SplitV: splitV,
  TensorScatterAdd: tensorScatter({ reduction: "add" }),
  TensorScatterUpdate: tensorScatter({}),
  Unpack: unpack,
  Where: where,
};
