// The forms that a list of tensors has: rows of a tensor, an ONNX sequence, or a list of the host where ONNX has no sequences of a
// dtype.

import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { HostValue } from "../host/call.ts";
import { integers } from "../host/elements.ts";
import { emptyList, type HostList, listOfRows } from "../host/list.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { type Emitter, type Type, unlowerable } from "./emitter.ts";
import type { Op } from "./op.ts";
import { knownInts, type ListValue, type Shape, type TensorValue } from "./value.ts";

export function listOf(op: Op): ListValue {
  return op.list ?? unlowerable("its operand is no list");
}

/** Dtypes for which ONNX Runtime makes sequences of tensors. */
export const SPLITTABLE: ReadonlySet<DType> = new Set(["float", "double", "int32", "int64"]);

/** The list as an ONNX sequence, which can be changed. */
export function asSequence(emit: Emitter, list: ListValue): ListValue {
  if (list.form === "sequence") return list;
  if (list.form === "host") unlowerable("a list that the host holds");
  if (!SPLITTABLE.has(list.dtype)) unlowerable(`a list of ${list.dtype} that changes`);
  const [name] = emit.node("SplitToSequence", [list.name], { axis: 0, keepdims: 0 });
  return { kind: "list", form: "sequence", dtype: list.dtype, item: list.item, name };
}

/** The list as the host holds it. */
export function hostedList(emit: Emitter, list: ListValue): ListValue {
  if (list.form === "host") return list;
  const { dtype, item, unwritten } = list;
  const type: Type = { dtype, shape: item, isSequence: true };
  if (unwritten) return emptyOnHost(emit, type, unwritten);
  const [rows] =
    list.form === "tensor" ? [list.name] : emit.node("ConcatFromSequence", [list.name], { axis: 0, new_axis: 1 });
  const stacked: TensorValue = { kind: "tensor", dtype, shape: item && [-1, ...item], plain: rows };
  const call = {
    op: "TensorListFromTensor",
    node: "a list",
    run: ([tensor]: readonly HostValue[]) => [listOfRows(tensor as Tensor)],
  };
  return emit.hostList(call, [stacked], [type])[0] as ListValue;
}

export function emptyOnHost(emit: Emitter, type: Type, count: TensorValue): ListValue {
  const run = ([places]: readonly HostValue[]): HostValue[] => [
    emptyList(type.dtype, integers(places as Tensor)[0] ?? 0),
  ];
  return emit.hostList({ op: "TensorListReserve", node: "a list", run }, [count], [type])[0] as ListValue;
}

/** Lowers the op to a call of the host over its tensors and, behind them, its list. */
export function onHost(
  op: Op,
  types: readonly Type[],
  run: (inputs: readonly Tensor[], list: HostList) => readonly HostValue[],
): (TensorValue | ListValue)[] {
  const operands = [...op.inputs, ...(op.list ? [hostedList(op.emit, op.list)] : [])];
  const call = {
    op: op.node.op,
    node: op.node.name,
    run: (inputs: readonly HostValue[]) => run(inputs as readonly Tensor[], inputs.at(-1) as HostList),
  };
  return op.emit.hostList(call, operands, types);
}

export function isHosted(list: ListValue): boolean {
  return list.form === "host";
}

/** The list after a change: `on` as an ONNX sequence where there is such a one, else on the host. */
export function changed(
  op: Op,
  item: Shape,
  inOnnx: (sequence: string) => string,
  run: (inputs: readonly Tensor[], list: HostList) => HostList,
): ListValue {
  const list = listOf(op);
  if (!isHosted(list) && SPLITTABLE.has(list.dtype)) {
    return { kind: "list", form: "sequence", dtype: list.dtype, item, name: inOnnx(asSequence(op.emit, list).name) };
  }
  const type: Type = { dtype: list.dtype, shape: item, isSequence: true };
  return onHost(op, [type], (inputs, held) => [run(inputs, held)])[0] as ListValue;
}

/** The shape of an item that an operand gives, as far as it is known; a scalar there leaves even the rank open. */
export function itemShape(op: Op, index: number): Shape {
  const operand = op.inputs[index];
  return operand?.shape?.length === 1 ? knownInts(operand)?.map((size) => size) : undefined;
}

/** The same when the program runs: only where it is known whole. */
export function wholeShape(tensor: Tensor | undefined): readonly number[] | undefined {
  const sizes = tensor?.shape.length === 1 ? integers(tensor) : undefined;
  return sizes?.every((size) => size >= 0) ? sizes : undefined;
}

/** Places to be written, each with a stand-in until then. */
export function placesFor(emit: Emitter, dtype: DType, item: Shape, count: TensorValue): ListValue {
  if (!SPLITTABLE.has(dtype)) return emptyOnHost(emit, { dtype, shape: item, isSequence: true }, count);
  const zero = emit.node("Cast", [emit.int(0)], { to: DTYPES[dtype].onnx })[0];
  const [places] = emit.node("Reshape", [emit.asInt64(count), emit.ints([1])]);
  const [shape] = emit.node("Concat", [places, emit.ints([1])], { axis: 0 });
  const [rows] = emit.node("Expand", [zero, shape]);
  const list = asSequence(emit, { kind: "list", form: "tensor", dtype, item, name: rows });
  return { ...list, unwritten: count };
}
