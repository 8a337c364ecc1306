// Three-dimensional convolutions and poolings. Their tensors are NDHWC; ONNX wants NCDHW.

import type { OnnxAttribute } from "../../onnx/model.ts";
import { transposeTensor } from "../../tensor/transform.ts";
import { fromCompute, toCompute } from "../elementwise.ts";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { convTranspose } from "../transposed.ts";
import { knownElements, type Shape } from "../value.ts";

const TO_CHANNELS_FIRST = [0, 4, 1, 2, 3] as const;
const TO_CHANNELS_LAST = [0, 2, 3, 4, 1] as const;
const KERNEL_ORDER = [4, 3, 0, 1, 2] as const;

/** Attributes of a window with its padding, and the result's spatial sizes where they are known. */
function windowOf(
  op: Op,
  kernel: readonly number[],
  shape: Shape,
): { attributes: Record<string, OnnxAttribute>; sizes: number[] } {
  if (op.attributes.string("data_format", "NDHWC") !== "NDHWC") unlowerable("a data format other than NDHWC");
  const strides = op.attributes.ints("strides").slice(1, 4);
  const dilations = [...op.attributes.ints("dilations"), 1, 1, 1, 1, 1].slice(1, 4);
  const isSame = op.attributes.string("padding", "") === "SAME";
  const sizes = kernel.map((reach, axis) => {
    const size = shape?.[axis + 1] ?? -1;
    const covered = (reach - 1) * (dilations[axis] ?? 1) + 1;
    if (size < 0) return -1;
    return Math.ceil((isSame ? size : size - covered + 1) / (strides[axis] ?? 1));
  });
  const attributes = {
    kernel_shape: kernel,
    strides,
    auto_pad: isSame ? "SAME_UPPER" : "VALID",
    ...(dilations.some((dilation) => dilation !== 1) && { dilations }),
  };
  return { attributes, sizes };
}

function channelsLast(op: Op, name: string, sizes: readonly number[], channels: number): ReturnType<Lowering> {
  const { dtype, shape } = op.input(0);
  const type = { dtype, shape: [shape?.[0] ?? -1, ...sizes, channels] };
  return op.emit.plainNode("Transpose", [fromCompute(op.emit, name, dtype)], type, { perm: TO_CHANNELS_LAST });
}

function imageName(op: Op): string {
  const { dtype } = op.input(0);
  const [name] = op.emit.node("Transpose", [op.emit.plain(op.input(0))], { perm: TO_CHANNELS_FIRST });
  return toCompute(op.emit, name, dtype);
}

const convolution: Lowering = (op) => {
  const kernel = op.input(1);
  if (kernel.shape?.length !== 5 || kernel.shape.includes(-1)) return unlowerable("a kernel of unknown shape");
  const [depth = 1, height = 1, width = 1, inner = 1, outer = 1] = kernel.shape;
  const { attributes, sizes } = windowOf(op, [depth, height, width], op.input(0).shape);
  const weights = kernel.constant
    ? op.emit.initializer(transposeTensor(kernel.constant, KERNEL_ORDER))
    : op.emit.node("Transpose", [op.emit.plain(kernel)], { perm: KERNEL_ORDER })[0];
  const channels = op.input(0).shape?.[4] ?? -1;
  const group = channels > 0 ? channels / inner : 1;
  const names = [imageName(op), toCompute(op.emit, weights, kernel.dtype)];
  return channelsLast(op, op.emit.node("Conv", names, { ...attributes, group })[0], sizes, outer);
};

function pooling(onnxOp: string): Lowering {
  return (op) => {
    const { attributes, sizes } = windowOf(op, op.attributes.ints("ksize").slice(1, 4), op.input(0).shape);
    return channelsLast(op, op.emit.node(onnxOp, [imageName(op)], attributes)[0], sizes, op.input(0).shape?.[4] ?? -1);
  };
}

/** The gradient of a convolution: operands are output size, kernel [d, h, w, out, in], volumes. */
const transposedConvolution: Lowering = (op) => {
  const [wanted, kernel, volume] = [op.input(0), op.input(1), op.input(2)];
  if (op.attributes.string("data_format", "NDHWC") !== "NDHWC") unlowerable("a data format other than NDHWC");
  if (kernel.shape?.length !== 5 || kernel.shape.includes(-1)) return unlowerable("a kernel of unknown shape");
  const [reach, channels] = [kernel.shape.slice(0, 3), kernel.shape[3] ?? -1];
  const strides = op.attributes.ints("strides").slice(1, 4);
  const dilations = [...op.attributes.ints("dilations"), 1, 1, 1, 1, 1].slice(1, 4);
  const sizes = knownElements(wanted);
  const along = (axis: number): number => sizes?.[axis + 1] ?? -1;
  const weights = kernel.constant
    ? op.emit.initializer(transposeTensor(kernel.constant, KERNEL_ORDER))
    : op.emit.node("Transpose", [op.emit.plain(kernel)], { perm: KERNEL_ORDER })[0];
  const [data] = op.emit.node("Transpose", [op.emit.plain(volume)], { perm: TO_CHANNELS_FIRST });
  const names = [toCompute(op.emit, data, volume.dtype), toCompute(op.emit, weights, kernel.dtype)];
  const result = convTranspose(op.emit, names, {
    kernel: reach,
    strides,
    dilations,
    input: reach.map((_, axis) => volume.shape?.[axis + 1] ?? -1),
    wanted: reach.map((_, axis) => along(axis)),
    wantedName: () => op.emit.node("Gather", [op.emit.asInt64(wanted), op.emit.ints([1, 2, 3])])[0],
  });
  const type = { dtype: volume.dtype, shape: [volume.shape?.[0] ?? -1, along(0), along(1), along(2), channels] };
  return op.emit.plainNode("Transpose", [fromCompute(op.emit, result, volume.dtype)], type, { perm: TO_CHANNELS_LAST });
};

export const VOLUME: LoweringTable = {
  AvgPool3D: pooling("AveragePool"),
  Conv3D: convolution,
  Conv3DBackpropInputV2: transposedConvolution,
  MaxPool3D: pooling("MaxPool"),
};
