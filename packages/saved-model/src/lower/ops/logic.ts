import type { DType, Tensor } from "@cloister/encoding/tensor";
import { integerConstant } from "./shape.ts";
import { elementwise, inOneLayout } from "../elementwise.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { DTYPES } from "../../tensor/dtype.ts";
import { broadcastShapes, knownElements, knownInts, type TensorValue } from "../value.ts";

type Compare = (a: number, b: number) => boolean;

function comparison(onnxOp: string, compare: Compare, negated = false): Lowering {
  return (op) => {
    const [a, b] = [op.input(0), op.input(1)];
    const known = foldComparison(compare, a, b);
    if (known) return op.emit.constant(known);
    const build = (names: readonly [string, ...string[]]): string => {
      const [result] = op.emit.node(onnxOp, names);
      return negated ? op.emit.node("Not", [result])[0] : result;
    };
    return a.dtype === "bool"
      ? inOneLayout(op.emit, [a, b], "bool", build)
      : elementwise(op.emit, [a, b], build, "bool");
  };
}

function logical(onnxOp: string): Lowering {
  return (op) =>
    inOneLayout(
      op.emit,
      op.inputs as [TensorValue, ...TensorValue[]],
      "bool",
      (names) => op.emit.node(onnxOp, names)[0],
    );
}

/** Where both are integers that are known; it decides computed axes and the branches of shape checks. */
function foldComparison(compare: Compare, a: TensorValue, b: TensorValue): Tensor | undefined {
  if (![a, b].every(({ dtype, shape }) => isInteger(dtype) && (shape?.length ?? 2) < 2)) return undefined;
  const [left, right] = [knownInts(a), knownInts(b)];
  const shape = broadcastShapes(a.shape, b.shape);
  if (!left || !right || !shape) return undefined;
  const at = (list: readonly number[], index: number): number => (list.length === 1 ? list[0] : list[index]) ?? 0;
  const count = Math.min(left.length, right.length) === 0 ? 0 : Math.max(left.length, right.length);
  const found = Array.from({ length: count }, (_, index) => Number(compare(at(left, index), at(right, index))));
  return { dtype: "bool", shape: shape.length === 0 ? [] : [count], data: Uint8Array.from(found) };
}

function isInteger(dtype: DType): boolean {
  return dtype === "int32" || dtype === "int64";
}

/** The operand that a known condition takes, where it has the shape of the result. */
function chosen(condition: TensorValue, a: TensorValue, b: TensorValue): TensorValue | undefined {
  if (condition.shape?.length !== 0 || !condition.constant) return undefined;
  if (!a.shape || a.shape.includes(-1) || a.shape.join() !== b.shape?.join()) return undefined;
  return condition.constant.data[0] === 0 ? b : a;
}

/** A condition with an axis of one element for each that it lacks behind its own. */
function rowsOf({ emit }: Op, condition: TensorValue, value: TensorValue): string {
  const [own, all] = [condition, value].map((each) => emit.node("Shape", [emit.plain(each)])[0]) as [string, string];
  const [lacking] = emit.node("Sub", [emit.node("Size", [all])[0], emit.node("Size", [own])[0]]);
  const [ones] = emit.node("Expand", [emit.int(1), emit.node("Reshape", [lacking, emit.ints([1])])[0]]);
  return emit.node("Reshape", [emit.plain(condition), emit.node("Concat", [own, ones], { axis: 0 })[0]])[0];
}

/** SelectV2 broadcasts; the older Select takes a condition of rank 1 that chooses rows. */
const select: Lowering = (op) => {
  const [condition, a, b] = [op.input(0), op.input(1), op.input(2)];
  const known = chosen(condition, a, b);
  if (known) return known;
  const rank = a.shape?.length;
  if (op.node.op === "Select" && condition.shape?.length === 1 && rank !== undefined && rank > 1) {
    const axes = Array.from({ length: rank - 1 }, (_, axis) => axis + 1);
    const [rows] = op.emit.node("Unsqueeze", [op.emit.plain(condition), op.emit.ints(axes)]);
    return op.emit.plainNode("Where", [rows, op.emit.plain(a), op.emit.plain(b)], a);
  }
  if (op.node.op === "Select" && condition.shape?.length !== 0 && (!condition.shape || rank === undefined)) {
    const names = [rowsOf(op, condition, a), op.emit.plain(a), op.emit.plain(b)];
    return op.emit.plainNode("Where", names, a);
  }
  return inOneLayout(op.emit, [condition, a, b], a.dtype, (names) => op.emit.node("Where", names)[0]);
};

/** Floats are truncated towards zero and integers wrap, in ONNX as in TensorFlow. */
const cast: Lowering = (op) => {
  const value = op.input(0);
  const dtype = op.attributes.requireDType("DstT");
  if (dtype === value.dtype) return value;
  if (value.constant && value.dtype === "bool" && isInteger(dtype) && value.constant.shape.length < 2) {
    return integerConstant(op.emit, dtype, Array.from(value.constant.data as Uint8Array), value.constant.shape);
  }
  const result = inOneLayout(
    op.emit,
    [value],
    dtype,
    ([x]) => op.emit.node("Cast", [x], { to: DTYPES[dtype].onnx })[0],
  );
  const elements = isInteger(dtype) && isInteger(value.dtype) ? knownElements(value) : undefined;
  return elements ? { ...result, elements } : result;
};

const isFinite: Lowering = (op) =>
  elementwise(
    op.emit,
    [op.input(0)],
    ([x]) => {
      const [isEndless] = op.emit.node("Or", [op.emit.node("IsInf", [x])[0], op.emit.node("IsNaN", [x])[0]]);
      return op.emit.node("Not", [isEndless])[0];
    },
    "bool",
  );

export const LOGIC: LoweringTable = {
  Cast: cast,
  Equal: comparison("Equal", (a, b) => a === b),
  Greater: comparison("Greater", (a, b) => a > b),
  GreaterEqual: comparison("GreaterOrEqual", (a, b) => a >= b),
  IsFinite: isFinite,
  IsInf: (op) => elementwise(op.emit, [op.input(0)], (names) => op.emit.node("IsInf", names)[0], "bool"),
  IsNan: (op) => elementwise(op.emit, [op.input(0)], (names) => op.emit.node("IsNaN", names)[0], "bool"),
  Less: comparison("Less", (a, b) => a < b),
  LessEqual: comparison("LessOrEqual", (a, b) => a <= b),
  LogicalAnd: logical("And"),
  LogicalNot: logical("Not"),
  LogicalOr: logical("Or"),
  LogicalXor: logical("Xor"),
  NotEqual: comparison("Equal", (a, b) => a !== b, true),
  Select: select,
  SelectV2: select,
};
