import { elementwise, inOneLayout } from "../elementwise.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { DTYPES } from "../../tensor/dtype.ts";
import { knownElements, type TensorValue } from "../value.ts";

function comparison(onnxOp: string, negated = false): Lowering {
  return (op) => {
    const [a, b] = [op.input(0), op.input(1)];
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

/** SelectV2 broadcasts; the older Select takes a condition of rank 1 that chooses rows. */
const select: Lowering = (op) => {
  const [condition, a, b] = [op.input(0), op.input(1), op.input(2)];
  const rank = a.shape?.length;
  if (op.node.op === "Select" && condition.shape?.length === 1 && rank !== undefined && rank > 1) {
    const axes = Array.from({ length: rank - 1 }, (_, axis) => axis + 1);
    const [rows] = op.emit.node("Unsqueeze", [op.emit.plain(condition), op.emit.ints(axes)]);
    return op.emit.plainNode("Where", [rows, op.emit.plain(a), op.emit.plain(b)], a);
  }
  return inOneLayout(op.emit, [condition, a, b], a.dtype, (names) => op.emit.node("Where", names)[0]);
};

/** Floats are truncated towards zero and integers wrap, in ONNX as in TensorFlow. */
const cast: Lowering = (op) => {
  const value = op.input(0);
  const dtype = op.attributes.requireDType("DstT");
  if (dtype === value.dtype) return value;
  const result = inOneLayout(
    op.emit,
    [value],
    dtype,
    ([x]) => op.emit.node("Cast", [x], { to: DTYPES[dtype].onnx })[0],
  );
  const isInteger = (name: string): boolean => name === "int32" || name === "int64";
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
  Equal: comparison("Equal"),
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  IsFinite: isFinite,
  IsInf: (op) => elementwise(op.emit, [op.input(0)], (names) => op.emit.node("IsInf", names)[0], "bool"),
  IsNan: (op) => elementwise(op.emit, [op.input(0)], (names) => op.emit.node("IsNaN", names)[0], "bool"),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  LogicalAnd: logical("And"),
  LogicalNot: logical("Not"),
  LogicalOr: logical("Or"),
  LogicalXor: logical("Xor"),
  NotEqual: comparison("Equal", true),
  Select: select,
  SelectV2: select,
};
