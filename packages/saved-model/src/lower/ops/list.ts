// Lists of tensors: TensorList*, which Keras' recurrent layers and map_fn read and write in loops, and TensorArray* of
// TensorFlow 1, whose content goes along its flow. Where ONNX has no sequences of a dtype, the host holds the list.

import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { HostValue } from "../../host/call.ts";
import { integers, int64Tensor } from "../../host/elements.ts";
import {
  concatItems,
  emptyList,
  type HostList,
  itemOf,
  listOfParts,
  listOfRows,
  resized,
  stackItems,
  withItem,
} from "../../host/list.ts";
import type { OnnxGraph, OnnxNode } from "../../onnx/model.ts";
import { DTYPES } from "../../tensor/dtype.ts";
import type { Emitter, Type } from "../emitter.ts";
import {
  asSequence,
  changed,
  emptyOnHost,
  hostedList,
  isHosted,
  itemShape,
  listOf,
  onHost,
  placesFor,
  SPLITTABLE,
  wholeShape,
} from "../list-forms.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts, type ListValue, type Shape, type TensorValue, type Value } from "../value.ts";

const reserve: Lowering = (op) =>
  placesFor(op.emit, op.attributes.itemDType("element_dtype"), itemShape(op, 0), op.input(1));

const empty: Lowering = (op) => {
  const dtype = op.attributes.itemDType("element_dtype");
  const { emit } = op;
  const none = emit.constant(int64Tensor([], [0]));
  if (!SPLITTABLE.has(dtype)) return emptyOnHost(emit, { dtype, shape: itemShape(op, 0), isSequence: true }, none);
  const [name] = emit.node("SequenceEmpty", [], { dtype: DTYPES[dtype].onnx });
  return { kind: "list", form: "sequence", dtype, item: itemShape(op, 0), name, unwritten: none };
};

const fromTensor: Lowering = (op) => {
  const value = op.input(0);
  const list: ListValue = { kind: "list", form: "tensor", dtype: value.dtype, item: value.shape?.slice(1), name: "" };
  if (value.dtype !== "string") return { ...list, name: op.emit.plain(value) };
  const type: Type = { dtype: value.dtype, shape: list.item, isSequence: true };
  return onHost(op, [type], ([tensor]) => [listOfRows(tensor as Tensor)]);
};

/** Rows of a tensor, so many for each item. Operands: the tensor, the shape of items, the lengths. */
const split: Lowering = (op) => {
  const [value, lengths] = [op.input(0), op.input(2)];
  const { dtype } = value;
  const item = value.shape && [-1, ...value.shape.slice(1)];
  const run = ([rows, counts]: readonly HostValue[]): HostValue[] => [
    listOfParts(rows as Tensor, integers(counts as Tensor)),
  ];
  const call = { op: op.node.op, node: op.node.name, run };
  return op.emit.hostList(call, [value, lengths], [{ dtype, shape: item, isSequence: true }])[0] as ListValue;
};

/** The shape of a list's items as far as it is known: sizes, -1 for unknown ones, or the scalar -1 for an unknown rank. */
const elementShape: Lowering = (op) => {
  const { item } = listOf(op);
  const [sizes, shape] = item ? [item, [item.length]] : [[-1], []];
  const isLong = op.attributes.requireDType("shape_type") === "int64";
  return op.emit.constant(isLong ? int64Tensor(shape, sizes) : { dtype: "int32", shape, data: Int32Array.from(sizes) });
};

const getItem: Lowering = (op) => {
  const list = listOf(op);
  const type = { dtype: list.dtype, shape: list.item ?? itemShape(op, 1) };
  if (isHosted(list)) {
    return onHost(op, [type], ([index, shape], held) => [
      itemOf(held, integers(index as Tensor)[0] ?? 0, shapeArgument(shape)),
    ]);
  }
  const index = op.emit.asInt64(op.input(0));
  return list.form === "tensor"
    ? op.emit.plainNode("Gather", [list.name, index], type, { axis: 0 })
    : op.emit.plainNode("SequenceAt", [list.name, index], type);
};

/** The last operand may be the list itself where the op takes no shape. */
function shapeArgument(value: Tensor | HostList | undefined): readonly number[] | undefined {
  return value && "items" in value ? undefined : wholeShape(value);
}

/** An item takes the place of the one that was there, or goes to the end where the list may grow. */
function setItem(op: Op, grows: boolean): ListValue {
  const [index, item] = [op.input(0), op.input(1)];
  const { dtype } = listOf(op);
  const inOnnx = (sequence: string): string => {
    const [value, place] = [op.emit.plain(item), op.emit.asInt64(index)];
    return grows ? grown(op.emit, dtype, sequence, value, place) : replaced(op.emit, sequence, value, place);
  };
  return changed(op, item.shape, inOnnx, (inputs, held) =>
    withItem(held, integers(inputs[0] as Tensor)[0] ?? 0, inputs[1] as Tensor, grows),
  );
}

function replaced(emit: Emitter, sequence: string, value: string, place: string): string {
  const [shorter] = emit.node("SequenceErase", [sequence, place]);
  return emit.node("SequenceInsert", [shorter, value, place])[0];
}

function grown(emit: Emitter, dtype: DType, sequence: string, value: string, place: string): string {
  const type: Type = { dtype, shape: undefined, isSequence: true };
  const graph = (isInside: boolean): OnnxGraph => {
    const [shorter, longer] = [emit.name("shorter"), emit.name("longer")];
    const erase = { op: "SequenceErase", inputs: [sequence, place], outputs: [shorter], attributes: {} };
    const from = isInside ? shorter : sequence;
    const insert = { op: "SequenceInsert", inputs: [from, value, place], outputs: [longer], attributes: {} };
    const nodes = isInside ? [erase, insert] : [insert];
    return { nodes, initializers: new Map(), inputs: [], outputs: [{ name: longer, ...type }] };
  };
  const [isInside] = emit.node("Less", [place, emit.node("SequenceLength", [sequence])[0]]);
  const branches = { then_branch: graph(true), else_branch: graph(false) };
  return emit.control("If", [isInside], [type], branches, [sequence, value, place])[0] ?? "";
}

const pushBack: Lowering = (op) => {
  const item = op.input(0);
  const inOnnx = (sequence: string): string => op.emit.node("SequenceInsert", [sequence, op.emit.plain(item)])[0];
  return changed(op, item.shape, inOnnx, ([value], held) => withItem(held, held.items.length, value as Tensor, true));
};

const popBack: Lowering = (op) => {
  const list = listOf(op);
  const { emit } = op;
  const item: Type = { dtype: list.dtype, shape: list.item };
  if (isHosted(list) || !SPLITTABLE.has(list.dtype)) {
    return onHost(op, [{ ...item, isSequence: true }, item], ([shape], held) => {
      const last = held.items.length - 1;
      return [resized(held, last), itemOf(held, last, wholeShape(shape))];
    });
  }
  const sequence = asSequence(emit, list);
  const last = emit.plainNode("SequenceAt", [sequence.name, emit.int(-1)], item);
  return [{ ...sequence, name: emit.node("SequenceErase", [sequence.name, emit.int(-1)])[0] }, last];
};

const stack: Lowering = (op) => stacked(op, itemShape(op, 0));

function stacked(op: Op, given: Shape): TensorValue {
  const list = listOf(op);
  const item = list.item ?? given;
  const type = { dtype: list.dtype, shape: item && [-1, ...item] };
  if (isHosted(list))
    return onHost(op, [type], ([shape], held) => [
      stackItems(held, shapeArgument(shape) ?? whole(given)),
    ])[0] as TensorValue;
  if (list.form === "tensor") return { kind: "tensor", ...type, plain: list.name };
  return { kind: "tensor", ...type, plain: stackedSequence(op.emit, list) };
}

/** The items of a sequence as rows. Where one was never written its stand-in grows to the first one's shape. */
function stackedSequence(emit: Emitter, { name, dtype, item }: ListValue): string {
  const [round, goesOn, first, shape, one, row, again] = [
    "round",
    "goes_on",
    "first",
    "shape",
    "item",
    "row",
    "again",
  ].map((hint) => emit.name(hint)) as [string, string, string, string, string, string, string];
  const zero = emit.int(0);
  const node = (op: string, inputs: string[], output: string): OnnxNode => ({
    op,
    inputs,
    outputs: [output],
    attributes: {},
  });
  const body: OnnxGraph = {
    nodes: [
      node("SequenceAt", [name, zero], first),
      node("Shape", [first], shape),
      node("SequenceAt", [name, round], one),
      node("Expand", [one, shape], row),
      node("Identity", [goesOn], again),
    ],
    initializers: new Map(),
    inputs: [
      { name: round, dtype: "int64", shape: [] },
      { name: goesOn, dtype: "bool", shape: [] },
    ],
    outputs: [
      { name: again, dtype: "bool", shape: [] },
      { name: row, dtype, shape: item },
    ],
  };
  const [count] = emit.node("SequenceLength", [name]);
  const type: Type = { dtype, shape: item && [-1, ...item] };
  return emit.control("Loop", [count, ""], [type], { body }, [name, zero])[0] ?? "";
}

function whole(shape: Shape): readonly number[] | undefined {
  return shape?.every((size) => size >= 0) ? shape : undefined;
}

/** Some items as rows of a tensor. */
function gather(given: (op: Op) => Shape): Lowering {
  return (op) => {
    const list = listOf(op);
    const item = list.item ?? given(op);
    const type = { dtype: list.dtype, shape: item && [op.input(0).shape?.[0] ?? -1, ...item] };
    if (isHosted(list)) {
      return onHost(op, [type], ([indices], held) => {
        const items = integers(indices as Tensor).map((index) => held.items[index]);
        return [stackItems({ ...held, items }, whole(given(op)))];
      });
    }
    const rows = stacked(op, item);
    return op.emit.plainNode("Gather", [op.emit.plain(rows), op.emit.asInt64(op.input(0))], type, { axis: 0 });
  };
}

/** Rows of a tensor become the items at the given places, each of which is named. */
function scatter(tensor: TensorValue, indices: TensorValue, op: Op): Value {
  const { dtype } = tensor;
  const item = tensor.shape?.slice(1);
  if (dtype === "string" || !isWholeRange(indices)) {
    const { list } = op;
    const type: Type = { dtype, shape: item, isSequence: true };
    const operands = [tensor, indices, ...(list ? [hostedList(op.emit, list)] : [])];
    const run = ([rows, places, held]: readonly HostValue[]): HostValue[] => {
      let result = (held as HostList | undefined) ?? emptyList(dtype, 0);
      const each = listOfRows(rows as Tensor).items;
      for (const [row, place] of integers(places as Tensor).entries())
        result = withItem(result, place, each[row] as Tensor, true);
      return [result];
    };
    return op.emit.hostList({ op: op.node.op, node: op.node.name, run }, operands, [type])[0] as ListValue;
  }
  return { kind: "list", form: "tensor", dtype, item, name: op.emit.plain(tensor) };
}

/** Whether the indices are 0, 1, 2 and so on: what `unstack` writes. */
function isWholeRange(indices: TensorValue): boolean {
  return indices.isCount === true || (knownInts(indices)?.every((value, index) => value === index) ?? false);
}

function concat(given: (op: Op) => Shape): Lowering {
  return (op) => {
    const list = listOf(op);
    const item = list.item ?? given(op);
    const rest = item?.slice(1);
    const type: Type = { dtype: list.dtype, shape: rest && [-1, ...rest] };
    const lengths: Type = { dtype: "int64", shape: [-1] };
    if (isHosted(list) || list.form === "tensor") {
      return onHost(op, [type, lengths], (_, held) => {
        const joined = concatItems(held, whole(given(op)));
        return [joined.whole, int64Tensor([joined.lengths.length], joined.lengths)];
      });
    }
    const value = op.emit.plainNode("ConcatFromSequence", [list.name], type, { axis: 0, new_axis: 0 });
    const missing = { op: op.node.op, node: op.node.name, reason: "lengths of items that ONNX holds" };
    return [value, op.emit.standIn(missing, [])];
  };
}

const resize: Lowering = (op) => {
  const list = listOf(op);
  const type: Type = { dtype: list.dtype, shape: list.item, isSequence: true };
  return onHost(op, [type], ([count], held) => [resized(held, integers(count as Tensor)[0] ?? 0)]);
};

const length: Lowering = (op) => {
  const list = listOf(op);
  const { emit } = op;
  if (isHosted(list)) {
    return onHost(op, [{ dtype: "int32", shape: [] }], (_, held) => [
      { dtype: "int32", shape: [], data: Int32Array.of(held.items.length) },
    ]);
  }
  const [count] =
    list.form === "sequence"
      ? emit.node("SequenceLength", [list.name])
      : emit.node("Gather", [emit.node("Shape", [list.name])[0], emit.int(0)]);
  return { kind: "tensor", dtype: "int32", shape: [], plain: emit.cast(count, "int32") };
};

const newArray: Lowering = (op) => {
  const isDynamic = op.attributes.bool("dynamic_size", false);
  const list = placesFor(
    op.emit,
    op.attributes.requireDType("dtype"),
    op.attributes.shape("element_shape"),
    op.input(0),
  );
  return [{ kind: "array", isDynamic }, list];
};

const arrayShape = (op: Op): Shape => op.attributes.shape("element_shape");

/** TensorArray ops of this table take their handle as `op.handle`, so that their operands are those of TensorList ops. */
export const LIST: LoweringTable = {
  EmptyTensorList: empty,
  TensorArrayConcatV3: concat(() => undefined),
  TensorArrayGatherV3: gather(arrayShape),
  TensorArrayReadV3: getItem,
  TensorArrayScatterV3: (op) => scatter(op.input(1), op.input(0), op),
  TensorArraySizeV3: length,
  TensorArrayV3: newArray,
  TensorArrayWriteV3: (op) => setItem(op, op.handle?.kind === "array" && op.handle.isDynamic),
  TensorListConcatV2: concat((op) => itemShape(op, 0)),
  TensorListElementShape: elementShape,
  TensorListFromTensor: fromTensor,
  TensorListGather: gather((op) => itemShape(op, 1)),
  TensorListGetItem: getItem,
  TensorListLength: length,
  TensorListPopBack: popBack,
  TensorListPushBack: pushBack,
  TensorListReserve: reserve,
  TensorListResize: resize,
  TensorListScatter: (op) => scatter(op.input(0), op.input(1), op),
  TensorListScatterIntoExistingList: (op) => scatter(op.input(0), op.input(1), op),
  TensorListScatterV2: (op) => scatter(op.input(0), op.input(1), op),
  TensorListSetItem: (op) => setItem(op, op.attributes.bool("resize_if_index_out_of_bounds", false)),
  TensorListSplit: split,
  TensorListStack: stack,
};
