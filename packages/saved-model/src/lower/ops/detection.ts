import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts, type TensorValue } from "../value.ts";
import { scoredSelection } from "./selection.ts";

/** Numbers of the boxes that are kept. Operands: boxes [n, 4], scores [n], most boxes, overlap, least score. */
function selected(op: Op): string {
  const { emit } = op;
  const float = (value: TensorValue | undefined, absent: number): string =>
    emit.node("Reshape", [value ? emit.plain(value) : emit.scalar(absent, "float"), emit.ints([1])])[0];
  const [boxes] = emit.node("Unsqueeze", [emit.plain(op.input(0)), emit.ints([0])]);
  const [scores] = emit.node("Unsqueeze", [emit.plain(op.input(1)), emit.ints([0, 1])]);
  const [most] = emit.node("Reshape", [emit.asInt64(op.input(2)), emit.ints([1])]);
  const operands = [boxes, scores, most, float(op.inputs[3], 0.5), float(op.inputs[4], Number.NEGATIVE_INFINITY)];
  const [rows] = emit.node("NonMaxSuppression", operands, { center_point_box: 0 });
  const [column] = emit.node("Gather", [rows, emit.int(2)], { axis: 1 });
  return emit.cast(column, "int32");
}

const nonMaxSuppression: Lowering = (op) => ({ kind: "tensor", dtype: "int32", shape: [-1], plain: selected(op) });

/** How many boxes a list of them holds, as int32. */
function countOf(op: Op, boxes: string): string {
  return op.emit.cast(op.emit.node("Squeeze", [op.emit.node("Shape", [boxes])[0], op.emit.ints([0])])[0], "int32");
}

/** Also says how many there are; the list may be filled up with zeros. */
const padded: Lowering = (op) => {
  const { emit } = op;
  const kept = selected(op);
  const count = countOf(op, kept);
  const valid: TensorValue = { kind: "tensor", dtype: "int32", shape: [], plain: count };
  if (!op.attributes.bool("pad_to_max_output_size", false)) {
    return [{ kind: "tensor", dtype: "int32", shape: [-1], plain: kept }, valid];
  }
  const [most] = emit.node("Reshape", [emit.asInt64(op.input(2)), emit.ints([1])]);
  const [missing] = emit.node("Sub", [most, emit.node("Shape", [kept])[0]]);
  const [pads] = emit.node("Concat", [emit.ints([0]), missing], { axis: 0 });
  const shape = [knownInts(op.input(2))?.[0] ?? -1];
  return [emit.plainNode("Pad", [kept, pads], { dtype: "int32", shape }), valid];
};

/** With scores; ONNX knows no soft selection (sigma above zero), which changes them. */
const scored: Lowering = (op) => {
  const sigma = op.input(5).constant?.data[0];
  if (sigma === undefined || Number(sigma) !== 0 || op.attributes.bool("pad_to_max_output_size", false)) {
    return scoredSelection(op);
  }
  const kept = selected(op);
  const scores = op.emit.node("Gather", [op.emit.plain(op.input(1)), kept], { axis: 0 })[0];
  return [
    { kind: "tensor", dtype: "int32", shape: [-1], plain: kept },
    { kind: "tensor", dtype: "float", shape: [-1], plain: scores },
    { kind: "tensor", dtype: "int32", shape: [], plain: countOf(op, kept) },
  ];
};

export const DETECTION: LoweringTable = {
  NonMaxSuppressionV2: nonMaxSuppression,
  NonMaxSuppressionV3: nonMaxSuppression,
  NonMaxSuppressionV4: padded,
  NonMaxSuppressionV5: scored,
};
