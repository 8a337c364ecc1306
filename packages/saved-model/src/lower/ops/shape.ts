import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { reshapeTensor, transposeTensor } from "../../tensor/transform.ts";
import { newArray } from "../../tensor/dtype.ts";
import { inOneLayout } from "../elementwise.ts";
import { type Emitter, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import {
  CHANNELS_FIRST_AXIS,
  knownElements,
  knownInts,
  normalizeAxis,
  type Shape,
  type TensorValue,
} from "../value.ts";

/** A constant integer scalar or vector. */
export function integerConstant(
  emit: Emitter,
  dtype: DType,
  values: readonly number[],
  shape: readonly number[],
): TensorValue {
  if (dtype !== "int32" && dtype !== "int64") return unlowerable(`integers of dtype ${dtype}`);
  const data = dtype === "int32" ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
  return emit.constant({ dtype, shape, data });
}

/** ONNX's int64 result as the dtype that TensorFlow gives. */
function fromInt64(emit: Emitter, name: string, { dtype, shape }: { dtype: DType; shape: Shape }): TensorValue {
  return { kind: "tensor", dtype, shape, plain: dtype === "int64" ? name : emit.cast(name, dtype) };
}

const unknownOnes = (shape: readonly number[]): (number | undefined)[] =>
  shape.map((size) => (size < 0 ? undefined : size));

const shapeOp: Lowering = (op) => op.inputs.map((value) => shapeOf(op, value));

function shapeOf(op: Op, value: TensorValue): TensorValue {
  const dtype = op.attributes.dtype("out_type") ?? "int32";
  const { shape } = value;
  if (shape?.every((size) => size >= 0)) return integerConstant(op.emit, dtype, shape, [shape.length]);
  const result = fromInt64(op.emit, shapeName(op.emit, value), { dtype, shape: shape ? [shape.length] : [-1] });
  return shape ? { ...result, elements: unknownOnes(shape) } : result;
}

/** The shape in TensorFlow's order, without transposing the tensor for it. */
function shapeName(emit: Emitter, value: TensorValue): string {
  if (value.plain !== undefined || value.channelsFirst === undefined) return emit.node("Shape", [emit.plain(value)])[0];
  return emit.node("Gather", [emit.node("Shape", [value.channelsFirst])[0], emit.ints(CHANNELS_FIRST_AXIS)])[0];
}

const sizeOp: Lowering = (op) => {
  const { shape } = op.input(0);
  const dtype = op.attributes.dtype("out_type") ?? "int32";
  if (shape?.every((size) => size >= 0)) return integerConstant(op.emit, dtype, [elementCount(shape)], []);
  return fromInt64(op.emit, op.emit.node("Size", [op.emit.plain(op.input(0))])[0], { dtype, shape: [] });
};

const rankOp: Lowering = (op) => {
  const { shape } = op.input(0);
  if (shape) return integerConstant(op.emit, "int32", [shape.length], []);
  const [sizes] = op.emit.node("Shape", [op.emit.plain(op.input(0))]);
  return { kind: "tensor", dtype: "int32", shape: [], plain: op.emit.cast(op.emit.node("Size", [sizes])[0], "int32") };
};

const reshape: Lowering = (op) => {
  const [value, target] = [op.input(0), op.input(1)];
  const elements = knownElements(target);
  const shape = elements ? reshapedShape(value.shape, elements) : unknownSizes(target.shape);
  if (value.constant && shape?.every((size) => size >= 0))
    return op.emit.constant(reshapeTensor(value.constant, shape));
  const result = op.emit.plainNode("Reshape", [op.emit.plain(value), reshapeTarget(op, target, elements)], {
    dtype: value.dtype,
    shape,
  });
  return value.elements && shape && shape.length <= 1 ? { ...result, elements: value.elements } : result;
};

/** Of a computed shape the rank, at least, where its number of elements is known. */
function unknownSizes(target: Shape): Shape {
  const [rank = -1] = target ?? [];
  return rank < 0 ? undefined : Array<number>(rank).fill(-1);
}

/** A computed shape with one unknown entry is the constant one with -1 there. */
function reshapeTarget(op: Op, target: TensorValue, elements: readonly (number | undefined)[] | undefined): string {
  const isOpen = (size: number | undefined): boolean => size === undefined || size < 0;
  if (!elements || elements.filter(isOpen).length > 1 || elements.includes(0)) return op.emit.asInt64(target);
  return op.emit.ints(elements.map((size) => size ?? -1));
}

function reshapedShape(from: Shape, elements: readonly (number | undefined)[]): number[] {
  const shape = elements.map((size) => size ?? -1);
  const open = elements.indexOf(-1);
  const rest = shape.filter((size) => size >= 0);
  if (open === -1 || rest.length !== shape.length - 1 || !from?.every((size) => size >= 0)) return shape;
  const count = elementCount(rest);
  if (count > 0 && elementCount(from) % count === 0) shape[open] = elementCount(from) / count;
  return shape;
}

const squeeze: Lowering = (op) => {
  const value = op.input(0);
  const { shape, dtype } = value;
  const given = op.attributes.ints("squeeze_dims");
  if (given.length === 0 && (!shape || shape.includes(-1))) {
    return op.emit.plainNode("Squeeze", [op.emit.plain(value)], { dtype, shape: undefined });
  }
  const all = (): readonly number[] => (shape ?? []).flatMap((size, axis) => (size === 1 ? [axis] : []));
  const axes = (given.length > 0 ? given : all()).map((axis) => (shape ? normalizeAxis(axis, shape.length) : axis));
  const left = shape?.filter((_, axis) => !axes.includes(axis));
  if (value.constant && left) return op.emit.constant(reshapeTensor(value.constant, left));
  const isSpatial = axes.length === 2 && axes.includes(1) && axes.includes(2);
  if (isSpatial && shape?.length === 4 && op.emit.prefersChannelsFirst(value)) {
    return op.emit.plainNode("Squeeze", [op.emit.channelsFirst(value), op.emit.ints([2, 3])], { dtype, shape: left });
  }
  const result = op.emit.plainNode("Squeeze", [op.emit.plain(value), op.emit.ints(axes)], { dtype, shape: left });
  return value.elements ? { ...result, elements: value.elements } : result;
};

const expandDims: Lowering = (op) => {
  const value = op.input(0);
  const [axis = 0] = knownInts(op.input(1)) ?? unlowerable("an axis that is computed");
  const { shape, dtype } = value;
  const place = shape ? normalizeAxis(axis, shape.length + 1) : axis;
  const wide = shape?.toSpliced(place, 0, 1);
  if (value.constant && wide) return op.emit.constant(reshapeTensor(value.constant, wide));
  const result = op.emit.plainNode("Unsqueeze", [op.emit.plain(value), op.emit.ints([place])], { dtype, shape: wide });
  return value.elements && wide?.length === 1 ? { ...result, elements: value.elements } : result;
};

const transpose: Lowering = (op) => {
  const value = op.input(0);
  const perm = knownInts(op.input(1)) ?? unlowerable("a permutation that is computed");
  if (value.constant && value.dtype !== "string") return op.emit.constant(transposeTensor(value.constant, perm));
  const shape = value.shape && perm.map((axis) => value.shape?.[axis] ?? -1);
  return op.emit.plainNode("Transpose", [op.emit.plain(value)], { dtype: value.dtype, shape }, { perm });
};

function shapeFromOperand(value: TensorValue): Shape {
  return knownElements(value)?.map((size) => size ?? -1);
}

const fill: Lowering = (op) => {
  const [dimensions, value] = [op.input(0), op.input(1)];
  const shape = shapeFromOperand(dimensions);
  const folded = value.constant && shape && fillConstant(value.constant, shape);
  if (folded) return op.emit.constant(folded);
  return op.emit.plainNode("Expand", [op.emit.plain(value), op.emit.asInt64(dimensions)], {
    dtype: value.dtype,
    shape,
  });
};

const MAX_FILLED_ELEMENTS = 4096;

function fillConstant({ dtype, data }: Tensor, shape: readonly number[]): Tensor | undefined {
  const count = elementCount(shape);
  if (dtype === "string" || shape.some((size) => size < 0) || count > MAX_FILLED_ELEMENTS) return undefined;
  return { dtype, shape, data: newArray(dtype, count).fill(data[0] as never) };
}

const broadcastTo: Lowering = (op) => {
  const value = op.input(0);
  const shape = shapeFromOperand(op.input(1));
  return op.emit.plainNode("Expand", [op.emit.plain(value), op.emit.asInt64(op.input(1))], {
    dtype: value.dtype,
    shape,
  });
};

const tile: Lowering = (op) => {
  const [value, multiples] = [op.input(0), op.input(1)];
  const factors = knownElements(multiples);
  const shape = value.shape?.map((size, axis) => {
    const factor = factors?.[axis];
    return size < 0 || factor === undefined ? -1 : size * factor;
  });
  return op.emit.plainNode("Tile", [op.emit.plain(value), op.emit.asInt64(multiples)], { dtype: value.dtype, shape });
};

const range: Lowering = (op) => {
  const [start, limit, delta] = [op.input(0), op.input(1), op.input(2)];
  const [from, to, step] = [start, limit, delta].map((value) => knownInts(value)?.[0]);
  if (from !== undefined && to !== undefined && step !== undefined && step !== 0) {
    const count = Math.max(Math.ceil((to - from) / step), 0);
    const isInteger = start.dtype === "int32" || start.dtype === "int64";
    if (isInteger && count <= MAX_FILLED_ELEMENTS) {
      const values = Array.from({ length: count }, (_, i) => from + i * step);
      return integerConstant(op.emit, start.dtype, values, [count]);
    }
  }
  const names = [start, limit, delta].map((value) => op.emit.plain(value));
  const value = op.emit.plainNode("Range", names, { dtype: start.dtype, shape: [-1] });
  return from === 0 && step === 1 ? { ...value, isCount: true } : value;
};

/**
 * Numbers in [0, 1), other ones at each run, as in TensorFlow without a seed. Graphs that were frozen with dropout in them use
 * them in a way that a keep probability of 1 makes vanish.
 */
const randomUniform: Lowering = (op) => {
  const dtype = op.attributes.requireDType("dtype");
  if (dtype !== "float" && dtype !== "double") unlowerable(`on ${dtype}`);
  const shape = shapeFromOperand(op.input(0));
  const [zeros] = op.emit.node("Expand", [op.emit.scalar(0, dtype), op.emit.asInt64(op.input(0))]);
  return op.emit.plainNode("RandomUniformLike", [zeros], { dtype, shape });
};

/** Ones, or zeros, in the shape of a tensor. */
function like(isOne: boolean): Lowering {
  return (op) => {
    const value = op.input(0);
    if (value.dtype === "string") unlowerable("on string");
    const one = newArray(value.dtype, 1);
    const bits = { half: 0x3c00, bfloat16: 0x3f80 }[value.dtype as string] ?? 1;
    const filler = isOne ? bits : 0;
    one.fill((one instanceof BigInt64Array || one instanceof BigUint64Array ? BigInt(filler) : filler) as never);
    const scalar = op.emit.initializer({ dtype: value.dtype, shape: [], data: one });
    return inOneLayout(
      op.emit,
      [value],
      value.dtype,
      ([name]) => op.emit.node("Expand", [scalar, op.emit.node("Shape", [name])[0]])[0],
    );
  };
}

export const SHAPE: LoweringTable = {
  BroadcastTo: broadcastTo,
  ExpandDims: expandDims,
  Fill: fill,
  OnesLike: like(true),
  RandomUniform: randomUniform,
  Range: range,
  Rank: rankOp,
  Reshape: reshape,
  Shape: shapeOp,
  ShapeN: shapeOp,
  VariableShape: shapeOp,
  Size: sizeOp,
  Squeeze: squeeze,
  Tile: tile,
  Transpose: transpose,
  ZerosLike: like(false),
};
