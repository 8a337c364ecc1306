import { computeType, fromCompute, toCompute } from "../elementwise.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { broadcastShapes, type Shape, type TensorValue } from "../value.ts";

/** Name and shape of an operand with its last two axes swapped where the op asks for it. */
function operand(
  op: Op,
  value: TensorValue,
  isTransposed: boolean,
  rank: number | undefined,
): { name: string; shape: Shape } {
  if (!isTransposed) return { name: op.emit.plain(value), shape: value.shape };
  const axes = rank ?? value.shape?.length;
  if (axes === undefined) return { name: transposedMatrices(op, op.emit.plain(value)), shape: undefined };
  const permutation = Array.from({ length: axes }, (_, axis) => axis);
  permutation.splice(-2, 2, axes - 1, axes - 2);
  const shape = value.shape && permutation.map((axis) => value.shape?.[axis] ?? -1);
  const name = value.constant
    ? op.emit.transposedInitializer(value.constant, permutation)
    : op.emit.node("Transpose", [op.emit.plain(value)], { perm: permutation })[0];
  return { name, shape };
}

/** Matrices of a tensor of unknown rank, transposed: they stand one behind the other in between. */
function transposedMatrices({ emit }: Op, name: string): string {
  const [shape] = emit.node("Shape", [name]);
  const part = (from: number, to: number): string =>
    emit.node("Slice", [shape, emit.ints([from]), emit.ints([to]), emit.ints([0])])[0];
  const [outer, rows, columns] = [part(0, -2), part(-2, -1), part(-1, Number.MAX_SAFE_INTEGER)];
  const [count] = emit.node("ReduceProd", [outer], { keepdims: 1 });
  const reshaped = (source: string, ...sizes: readonly string[]): string =>
    emit.node("Reshape", [source, emit.node("Concat", sizes, { axis: 0 })[0]], { allowzero: 1 })[0];
  const [turned] = emit.node("Transpose", [reshaped(name, count, rows, columns)], { perm: [0, 2, 1] });
  return reshaped(turned, outer, columns, rows);
}

function matMul(transposeA: string, transposeB: string, rank?: number): Lowering {
  return (op) => {
    const [a, b] = [op.input(0), op.input(1)];
    const left = operand(op, a, op.attributes.bool(transposeA, false), rank);
    const right = operand(op, b, op.attributes.bool(transposeB, false), rank);
    const [product] = op.emit.node("MatMul", [
      toCompute(op.emit, left.name, a.dtype),
      toCompute(op.emit, right.name, b.dtype),
    ]);
    // Products of small integers may be asked for in a wider dtype.
    const dtype = op.attributes.dtype("Tout") ?? a.dtype;
    const name =
      computeType(dtype) === computeType(a.dtype) ? fromCompute(op.emit, product, dtype) : op.emit.cast(product, dtype);
    return { kind: "tensor", dtype, shape: productShape(left.shape, right.shape), plain: name };
  };
}

function productShape(a: Shape, b: Shape): Shape {
  if (!a || !b || a.length < 2 || b.length < 2) return undefined;
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2));
  return batch && [...batch, a.at(-2) ?? -1, b.at(-1) ?? -1];
}

const einsum: Lowering = (op) => {
  const equation = op.attributes.string("equation", "");
  const { dtype } = op.input(0);
  const hasEllipsis = equation.includes("...");
  const [sources = "", target = ""] = equation.split("->");
  const sizes = new Map<string, number>();
  sources.split(",").forEach((labels, index) => {
    Array.from(labels).forEach((label, axis) => sizes.set(label, op.input(index).shape?.[axis] ?? -1));
  });
  // What an ellipsis stands for would have to be counted per operand; the rank is left open instead.
  const shape = hasEllipsis ? undefined : Array.from(target, (label) => sizes.get(label) ?? -1);
  const names = op.inputs.map((value) => toCompute(op.emit, op.emit.plain(value), dtype));
  const [product] = op.emit.node("Einsum", names, { equation });
  return { kind: "tensor", dtype, shape, plain: fromCompute(op.emit, product, dtype) };
};

export const MATMUL: LoweringTable = {
  BatchMatMul: matMul("adj_x", "adj_y"),
  BatchMatMulV2: matMul("adj_x", "adj_y"),
  BatchMatMulV3: matMul("adj_x", "adj_y"),
  Einsum: einsum,
  MatMul: matMul("transpose_a", "transpose_b", 2),
};
