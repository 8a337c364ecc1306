// Lists of tensors (TensorList*), which Keras' recurrent layers read and write in loops.

import { type Emitter, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts, type ListValue, type Shape, type TensorValue } from "../value.ts";
import { DTYPES } from "../../tensor/dtype.ts";

function listOf(op: Op): ListValue {
  return op.list ?? unlowerable("its operand is no list");
}

/** Dtypes for which ONNX Runtime makes sequences of tensors. */
const SPLITTABLE: ReadonlySet<string> = new Set(["float", "double", "int32", "int64"]);

/** The list as an ONNX sequence, which can be changed. */
export function asSequence(emit: Emitter, list: ListValue): ListValue {
  if (list.form === "sequence") return list;
  if (!SPLITTABLE.has(list.dtype)) unlowerable(`a list of ${list.dtype} that changes`);
  const [name] = emit.node("SplitToSequence", [list.name], { axis: 0, keepdims: 0 });
  return { ...list, form: "sequence", name };
}

function itemShape(op: Op, index: number): Shape {
  return knownInts(op.inputs[index])?.map((size) => size);
}

/** Places to be written, each with a stand-in until then. */
const reserve: Lowering = (op) => {
  const dtype = op.attributes.requireDType("element_dtype");
  const { emit } = op;
  const zero = emit.node("Cast", [emit.int(0)], { to: DTYPES[dtype].onnx })[0];
  const [count] = emit.node("Reshape", [emit.asInt64(op.input(1)), emit.ints([1])]);
  const [shape] = emit.node("Concat", [count, emit.ints([1])], { axis: 0 });
  const [places] = emit.node("Expand", [zero, shape]);
  return asSequence(emit, { kind: "list", form: "tensor", dtype, item: itemShape(op, 0), name: places });
};

const empty: Lowering = (op) => {
  const dtype = op.attributes.requireDType("element_dtype");
  const [name] = op.emit.node("SequenceEmpty", [], { dtype: DTYPES[dtype].onnx });
  return { kind: "list", form: "sequence", dtype, item: itemShape(op, 0), name };
};

const fromTensor: Lowering = (op) => {
  const value = op.input(0);
  return { kind: "list", form: "tensor", dtype: value.dtype, item: value.shape?.slice(1), name: op.emit.plain(value) };
};

const getItem: Lowering = (op) => {
  const list = listOf(op);
  const index = op.emit.asInt64(op.input(0));
  const type = { dtype: list.dtype, shape: list.item };
  return list.form === "tensor"
    ? op.emit.plainNode("Gather", [list.name, index], type, { axis: 0 })
    : op.emit.plainNode("SequenceAt", [list.name, index], type);
};

/** An item takes the place of the one that was there. */
const setItem: Lowering = (op) => {
  const list = asSequence(op.emit, listOf(op));
  const [index, item] = [op.input(0), op.input(1)];
  const place = op.emit.asInt64(index);
  const [shorter] = op.emit.node("SequenceErase", [list.name, place]);
  const [name] = op.emit.node("SequenceInsert", [shorter, op.emit.plain(item), place]);
  return { ...list, item: item.shape, name };
};

const pushBack: Lowering = (op) => {
  const list = asSequence(op.emit, listOf(op));
  const [name] = op.emit.node("SequenceInsert", [list.name, op.emit.plain(op.input(0))]);
  return { ...list, item: op.input(0).shape, name };
};

const stack: Lowering = (op): TensorValue => {
  const list = listOf(op);
  const given = itemShape(op, 0);
  const item = list.item ?? given;
  const type = { dtype: list.dtype, shape: item && [-1, ...item] };
  if (list.form === "tensor") return { kind: "tensor", ...type, plain: list.name };
  return op.emit.plainNode("ConcatFromSequence", [list.name], type, { axis: 0, new_axis: 1 });
};

const length: Lowering = (op) => {
  const list = listOf(op);
  const { emit } = op;
  const [count] =
    list.form === "sequence"
      ? emit.node("SequenceLength", [list.name])
      : emit.node("Gather", [emit.node("Shape", [list.name])[0], emit.int(0)]);
  return { kind: "tensor", dtype: "int32", shape: [], plain: emit.cast(count, "int32") };
};

export const LIST: LoweringTable = {
  EmptyTensorList: empty,
  TensorListFromTensor: fromTensor,
  TensorListGetItem: getItem,
  TensorListLength: length,
  TensorListPushBack: pushBack,
  TensorListReserve: reserve,
  TensorListSetItem: setItem,
  TensorListStack: stack,
};
