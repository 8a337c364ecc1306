import type { DType } from "@cloister/encoding/tensor";
import { computeType, fromCompute, isFloating, toCompute } from "../elementwise.ts";
import { type Emitter, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { CHANNELS_FIRST_AXIS, knownInts, normalizeAxis, type Shape, type TensorValue } from "../value.ts";

/** From opset 13 on ReduceSum takes its axes as an operand; the others follow in opset 18. */
function reduceNode(op: Op, onnxOp: string, name: string, axes: readonly number[], keepdims: number): string {
  if (axes.some((axis) => axis < 0)) return fromTheEnd(op, onnxOp, name, axes, keepdims);
  if (onnxOp === "ReduceSum") return op.emit.node(onnxOp, [name, op.emit.ints(axes)], { keepdims })[0];
  return op.emit.node(onnxOp, [name], { axes, keepdims })[0];
}

/**
 * Axes of a tensor of unknown rank, some of them counted from its end. ONNX Runtime leaves those as they are where the tensor is empty,
 * so they are counted from the front of a tensor whose outer axes are one.
 */
function fromTheEnd(op: Op, onnxOp: string, name: string, axes: readonly number[], keepdims: number): string {
  const { emit } = op;
  const front = axes.filter((axis) => axis >= 0);
  if (front.length > 0) {
    if (onnxOp === "ReduceMean" && !isFloating(op.input(0).dtype)) unlowerable("axes counted from both ends");
    const inner = axes.filter((axis) => axis < 0);
    const kept = reduceNode(op, onnxOp, fromTheEnd(op, onnxOp, name, inner, 1), front, 1);
    return keepdims ? kept : emit.node("Squeeze", [kept, emit.ints(axes)])[0];
  }
  const depth = -Math.min(...axes);
  const [sizes] = emit.node("Shape", [name]);
  const [outer] = emit.node("Slice", [sizes, emit.ints([0]), emit.ints([-depth])]);
  const [rows] = emit.node("ReduceProd", [outer], { keepdims: 1 });
  const places = Array.from({ length: depth }, (_, place) => place - depth);
  // Unlike a slice, a gather fails where the tensor has fewer axes.
  const [inner] = emit.node("Gather", [sizes, emit.ints(places)]);
  const shaped = (value: string, shape: readonly string[]): string =>
    emit.node("Reshape", [value, emit.node("Concat", shape, { axis: 0 })[0]], { allowzero: 1 })[0];
  const found = reduceNode(
    op,
    onnxOp,
    shaped(name, [rows, inner]),
    axes.map((axis) => axis + depth + 1),
    keepdims,
  );
  const left = places.flatMap((place) => {
    if (!axes.includes(place)) return [emit.node("Gather", [sizes, emit.ints([place])])[0]];
    return keepdims ? [emit.ints([1])] : [];
  });
  return shaped(found, [outer, ...left]);
}

export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): Shape {
  if (!shape) return undefined;
  const isReduced = (axis: number): boolean => axes.includes(axis);
  return keepDims
    ? shape.map((size, axis) => (isReduced(axis) ? 1 : size))
    : shape.filter((_, axis) => !isReduced(axis));
}

function reduction(onnxOp: string): Lowering {
  return (op) => {
    const value = op.input(0);
    const axes = knownInts(op.input(1));
    if (!axes) return overComputedAxes(op, onnxOp, value);
    // Only images have a channels-first form.
    const rank = value.shape?.length ?? (value.channelsFirst === undefined ? undefined : 4);
    if (axes.length === 0) return value;
    const keepDims = op.attributes.bool("keep_dims", false);
    const normal = rank === undefined ? axes : axes.map((axis) => normalizeAxis(axis, rank));
    const shape = reducedShape(value.shape, normal, keepDims);
    const { dtype } = value;
    const mayBeEmpty =
      onnxOp === "ReduceMean" && isFloating(dtype) && normal.some((axis) => (value.shape?.[axis] ?? -1) === -1);
    const reduce = (name: string, over: readonly number[]): string => {
      if (dtype === "bool")
        return op.emit.cast(reduceNode(op, onnxOp, op.emit.cast(name, "int32"), over, Number(keepDims)), "bool");
      const [source, compute] = [toCompute(op.emit, name, dtype), computeType(dtype)];
      const into = (each: string): string => reduceNode(op, onnxOp, each, over, Number(keepDims));
      const reduced = exactly(op, onnxOp, source, compute, into);
      return fromCompute(op.emit, mayBeEmpty ? orNaN(op, reduced, name, over) : reduced, dtype);
    };
    return (
      channelsFirst(op, value, normal, keepDims, reduce, shape) ?? {
        kind: "tensor",
        dtype,
        shape,
        plain: reduce(op.emit.plain(value), normal),
      }
    );
  };
}

/**
 * A reduction whose sums and products of integers wrap as TensorFlow's do. ONNX Runtime reduces integers as doubles: beyond 2^53 it would lose bits,
 * and beyond the dtype's range stay at its end. Products of int64 are exact up to 2^53 only.
 */
function exactly({ emit }: Op, onnxOp: string, source: string, dtype: DType, into: (name: string) => string): string {
  if (isFloating(dtype) && (onnxOp === "ReduceMax" || onnxOp === "ReduceMin"))
    return withNaN(emit, onnxOp, source, dtype, into);
  const isWhole = (dtype === "int32" || dtype === "int64") && (onnxOp === "ReduceSum" || onnxOp === "ReduceProd");
  if (!isWhole) return into(source);
  if (dtype === "int32") return emit.cast(into(emit.cast(source, "int64")), "int32");
  if (onnxOp !== "ReduceSum") return into(source);
  // The upper and the lower 32 bits have sums that doubles hold.
  const width = emit.int(2 ** 32);
  const [low] = emit.node("Mod", [source, width]);
  const [high] = emit.node("Div", [emit.node("Sub", [source, low])[0], width]);
  return emit.node("Add", [emit.node("Mul", [into(high), width])[0], into(low)])[0];
}

/** An extreme is NaN where one of the elements is; ONNX Runtime passes those over. */
function withNaN(emit: Emitter, onnxOp: string, source: string, dtype: DType, into: (name: string) => string): string {
  const [mark, comparison] = onnxOp === "ReduceMax" ? [1, "Greater"] : [-1, "Less"];
  const zero = emit.scalar(0, "float");
  const [marks] = emit.node("Where", [emit.node("IsNaN", [source])[0], emit.scalar(mark, "float"), zero]);
  const [isMarked] = emit.node(comparison, [into(marks), zero]);
  return emit.node("Where", [isMarked, emit.scalar(Number.NaN, dtype), into(source)])[0];
}

/** A mean of nothing is NaN; ONNX Runtime gives zero. */
function orNaN(op: Op, mean: string, source: string, axes: readonly number[]): string {
  const { emit } = op;
  const compute = computeType(op.input(0).dtype);
  const [sizes] = emit.node("Gather", [emit.node("Shape", [source])[0], emit.ints(axes)]);
  const [count] = emit.node("ReduceProd", [sizes], { keepdims: 0 });
  const [zeroOrNaN] = emit.node("Div", [emit.scalar(0, compute), emit.cast(count, compute)]);
  return emit.node("Add", [mean, zeroOrNaN])[0];
}

/** Over all axes of a tensor of unknown rank: what is left is a scalar or, where axes are kept, of unknown rank too. */
function overComputedAxes(op: Op, onnxOp: string, value: TensorValue): TensorValue {
  const keepDims = op.attributes.bool("keep_dims", false);
  const { emit } = op;
  if (!op.input(1).isCount || keepDims) unlowerable("axes that are computed");
  const flat = emit.node("Reshape", [emit.plain(value), emit.ints([-1])])[0];
  const compute = value.dtype === "bool" ? emit.cast(flat, "int32") : toCompute(emit, flat, value.dtype);
  const computeDType = value.dtype === "bool" ? "bool" : computeType(value.dtype);
  const found = exactly(op, onnxOp, compute, computeDType, (each) => reduceNode(op, onnxOp, each, [0], 0));
  const isMean = onnxOp === "ReduceMean" && isFloating(value.dtype);
  const reduced = isMean ? orNaN(op, found, flat, [0]) : found;
  const plain = value.dtype === "bool" ? emit.cast(reduced, "bool") : fromCompute(emit, reduced, value.dtype);
  return { kind: "tensor", dtype: value.dtype, shape: [], plain };
}

/** Height and width of an image in channels-first order can be reduced as they are: without them [batch, channels] is left. */
function channelsFirst(
  op: Op,
  value: TensorValue,
  axes: readonly number[],
  keepDims: boolean,
  reduce: (name: string, axes: readonly number[]) => string,
  shape: Shape,
): TensorValue | undefined {
  if (!op.emit.prefersChannelsFirst(value)) return undefined;
  const isGlobal = axes.length === 2 && axes.includes(1) && axes.includes(2);
  if (!keepDims && !isGlobal) return undefined;
  const name = reduce(
    op.emit.channelsFirst(value),
    axes.map((axis) => CHANNELS_FIRST_AXIS[axis] ?? axis).toSorted((a, b) => a - b),
  );
  const form = keepDims ? { channelsFirst: name } : { plain: name };
  return { kind: "tensor", dtype: value.dtype, shape, ...form };
}

const cumsum: Lowering = (op) => {
  const value = op.input(0);
  const attributes = {
    exclusive: Number(op.attributes.bool("exclusive", false)),
    reverse: Number(op.attributes.bool("reverse", false)),
  };
  const terms = toCompute(op.emit, op.emit.plain(value), value.dtype);
  const [sums] = op.emit.node("CumSum", [terms, op.emit.asInt64(op.input(1))], attributes);
  return { kind: "tensor", dtype: value.dtype, shape: value.shape, plain: fromCompute(op.emit, sums, value.dtype) };
};

/** Half the sum of squares of all elements. */
const l2Loss: Lowering = (op) => {
  const value = op.input(0);
  const { emit } = op;
  const [sum] = emit.node("ReduceSumSquare", [toCompute(emit, emit.plain(value), value.dtype)], { keepdims: 0 });
  const [half] = emit.node("Mul", [sum, emit.scalar(0.5, value.dtype)]);
  return { kind: "tensor", dtype: value.dtype, shape: [], plain: fromCompute(emit, half, value.dtype) };
};

export const REDUCTION: LoweringTable = {
  All: reduction("ReduceMin"),
  Any: reduction("ReduceSum"),
  Cumsum: cumsum,
  EuclideanNorm: reduction("ReduceL2"),
  L2Loss: l2Loss,
  Max: reduction("ReduceMax"),
  Mean: reduction("ReduceMean"),
  Min: reduction("ReduceMin"),
  Prod: reduction("ReduceProd"),
  Sum: reduction("ReduceSum"),
};
