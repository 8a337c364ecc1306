// Dtypes that an op's kernel does not take are carried through it in another that holds their values exactly.

import type { DType } from "@cloister/encoding/tensor";
import { inOneLayout } from "./elementwise.ts";
import { type Emitter, unlowerable } from "./emitter.ts";
import type { Lowering, Op } from "./op.ts";
import type { TensorValue, Value } from "./value.ts";

interface Kernel {
  /** Dtypes that ONNX Runtime's kernel takes. */
  readonly takes: readonly DType[];
  /** Which operands are of the op's dtype. */
  readonly operands: readonly number[];
}

const BUT_SMALL: readonly DType[] = [
  "float",
  "double",
  "half",
  "int8",
  "uint8",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
];
const ALL_BUT_BFLOAT16: readonly DType[] = [...BUT_SMALL, "int16", "uint16"];
const MATHEMATICAL: readonly DType[] = [
  "float",
  "double",
  "int32",
  "int64",
  "int8",
  "int16",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "bool",
];
const BLOCKS: readonly DType[] = ["float", "double", "half", "int8", "uint8"];

/** Single precision, and what is calculated in it. */
const SINGLE: readonly DType[] = ["float", "half", "bfloat16"];

/** Where 64 bits are alike with and without a sign: integers wrap. */
const BUT_UINT64: readonly DType[] = [...MATHEMATICAL.filter((dtype) => dtype !== "uint64"), "half", "bfloat16"];

const KERNELS: Readonly<Record<string, Kernel>> = {
  AvgPool: { takes: SINGLE, operands: [0] },
  AvgPool3D: { takes: SINGLE, operands: [0] },
  BroadcastTo: { takes: ALL_BUT_BFLOAT16, operands: [0] },
  Conv2D: { takes: SINGLE, operands: [0, 1] },
  Conv2DBackpropInput: { takes: SINGLE, operands: [2, 1] },
  Conv3D: { takes: SINGLE, operands: [0, 1] },
  Conv3DBackpropInputV2: { takes: SINGLE, operands: [2, 1] },
  Cumsum: { takes: BUT_UINT64, operands: [0] },
  DepthToSpace: { takes: BLOCKS, operands: [0] },
  DepthwiseConv2dNative: { takes: SINGLE, operands: [0, 1] },
  Equal: { takes: BUT_UINT64, operands: [0, 1] },
  Fill: { takes: ALL_BUT_BFLOAT16, operands: [1] },
  MaxPool: { takes: ["float", "double", "half", "bfloat16"], operands: [0] },
  MirrorPad: { takes: BUT_SMALL, operands: [0] },
  NotEqual: { takes: BUT_UINT64, operands: [0, 1] },
  OnesLike: { takes: ALL_BUT_BFLOAT16, operands: [0] },
  Pad: { takes: BUT_SMALL, operands: [0] },
  PadV2: { takes: BUT_SMALL, operands: [0, 2] },
  Prod: { takes: BUT_UINT64, operands: [0] },
  Relu: { takes: ["float", "double", "half", "bfloat16", "int8", "int16", "uint8", "uint16", "int32"], operands: [0] },
  ResizeNearestNeighbor: { takes: ["float", "half", "int8", "uint8", "int32"], operands: [0] },
  ReverseSequence: { takes: ALL_BUT_BFLOAT16, operands: [0] },
  ScatterNd: { takes: MATHEMATICAL, operands: [1] },
  Select: { takes: ["float", "double", "uint8", "int32", "int64"], operands: [1, 2] },
  SelectV2: { takes: ["float", "double", "uint8", "int32", "int64"], operands: [1, 2] },
  Size: { takes: ALL_BUT_BFLOAT16, operands: [0] },
  SpaceToDepth: { takes: BLOCKS, operands: [0] },
  Square: { takes: BUT_UINT64, operands: [0] },
  Sum: { takes: BUT_UINT64, operands: [0] },
  TensorScatterAdd: { takes: MATHEMATICAL, operands: [0, 2] },
  Tile: { takes: ALL_BUT_BFLOAT16, operands: [0] },
  ZerosLike: { takes: ALL_BUT_BFLOAT16, operands: [0] },
};

/** For each dtype those that hold all its values, the cheapest first. */
const HOLDERS: Readonly<Partial<Record<DType, readonly DType[]>>> = {
  bool: ["uint8"],
  half: ["float"],
  bfloat16: ["float"],
  int8: ["int32", "float"],
  int16: ["int32", "float"],
  uint8: ["int32", "float"],
  uint16: ["int32", "float"],
  int32: ["int64", "double"],
  uint32: ["int64", "double"],
  // Of the same width: the bits come back as they went.
  uint64: ["int64"],
};

/** `lowering`, with the operands carried in another dtype where ONNX Runtime has no kernel for theirs. */
export function carried(op: Op, lowering: Lowering): Value | readonly Value[] {
  const kernel = KERNELS[op.node.op];
  const dtype = kernel && op.inputs[kernel.operands[0] ?? 0]?.dtype;
  if (!kernel || !dtype || dtype === "string" || kernel.takes.includes(dtype)) return lowering(op);
  const holder = HOLDERS[dtype]?.find((each) => kernel.takes.includes(each)) ?? unlowerable(`on ${dtype}`);
  const inputs = op.inputs.map((value, index) =>
    kernel.operands.includes(index) ? converted(op.emit, value, holder) : value,
  );
  const result = lowering(op.withInputs(inputs)) as TensorValue;
  return result.dtype === holder ? converted(op.emit, result, dtype) : result;
}

/** Host ops that look at their operand's bits or dtype, or give single precision whatever they take. */
const OF_THEIR_OWN: ReadonlySet<string> = new Set([
  "Bitcast",
  "CropAndResize",
  "ResizeArea",
  "ResizeBicubic",
  "ScaleAndTranslate",
  "SerializeTensor",
  // Where a segment is empty they give the end of the dtype's range.
  "UnsortedSegmentMax",
  "UnsortedSegmentMin",
]);

const isShort = ({ dtype }: TensorValue): boolean => dtype === "half" || dtype === "bfloat16";

/** A host call in single precision where its operands are of half: the host calculates with numbers, not with their bits. */
export function inSinglePrecision(op: Op, lowering: Lowering): Value | readonly Value[] {
  const short = op.inputs.find(isShort)?.dtype;
  if (!short || op.handle || op.list || OF_THEIR_OWN.has(op.node.op)) return lowering(op);
  const inputs = op.inputs.map((value) => (isShort(value) ? converted(op.emit, value, "float") : value));
  const result = lowering(op.withInputs(inputs));
  const back = (value: Value): Value =>
    value.kind === "tensor" && value.dtype === "float" ? converted(op.emit, value, short) : value;
  return Array.isArray(result) ? result.map(back) : back(result as Value);
}

/** The value in another dtype. */
export function converted(emit: Emitter, value: TensorValue, dtype: DType): TensorValue {
  return inOneLayout(emit, [value], dtype, ([name]) => emit.cast(name, dtype));
}
