import { reshapeTensor } from "../../tensor/transform.ts";
import { fromCompute, toCompute } from "../elementwise.ts";
import { type Emitter, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import {
  type DataFormat,
  dataFormat,
  heightWidth,
  imageDimensions,
  imageName,
  imageShape,
  imageValue,
  outputSize,
  type Padding,
  paddingOf,
  type Pads,
  type Window,
  windowAttributes,
} from "../spatial.ts";
import { convTranspose } from "../transposed.ts";
import { knownElements, type TensorValue } from "../value.ts";

/** TensorFlow's kernels are [height, width, in, out], ONNX's [out, in, height, width]. */
const KERNEL_ORDER = [3, 2, 0, 1] as const;

interface Kernel {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  /** Input channels of one group. */
  readonly inChannels: number;
  readonly outChannels: number;
}

function kernelShape(value: TensorValue): readonly [number, number, number, number] {
  const { shape } = value;
  if (shape?.length !== 4 || shape.some((size) => size < 0)) unlowerable("a kernel of unknown shape");
  return shape as unknown as [number, number, number, number];
}

function convolutionKernel(op: Op): Kernel {
  const value = op.input(1);
  const [height, width, inChannels, outChannels] = kernelShape(value);
  const name = value.constant
    ? op.emit.transposedInitializer(value.constant, KERNEL_ORDER)
    : op.emit.node("Transpose", [op.emit.plain(value)], { perm: KERNEL_ORDER })[0];
  return { name, height, width, inChannels, outChannels };
}

/** A depthwise kernel [height, width, channels, multiplier] is a grouped one with a group for each channel. */
function depthwiseKernel(op: Op): Kernel {
  const value = op.input(1);
  const [height, width, channels, multiplier] = kernelShape(value);
  const outChannels = channels * multiplier;
  const grouped = [height, width, 1, outChannels];
  const name = value.constant
    ? op.emit.transposedInitializer(reshapeTensor(value.constant, grouped), KERNEL_ORDER)
    : op.emit.node("Transpose", [op.emit.node("Reshape", [op.emit.plain(value), op.emit.ints(grouped)])[0]], {
        perm: KERNEL_ORDER,
      })[0];
  return { name, height, width, inChannels: 1, outChannels };
}

/** Where the input is a tensor with zeros around its images, that tensor and the padding it stands for. */
function unpadded(value: TensorValue, padding: Padding, format: DataFormat): { input: TensorValue; padding: Padding } {
  if (!value.padding || padding.kind !== "explicit" || padding.pads.flat().some((size) => size !== 0))
    return { input: value, padding };
  const [n, a, b, c] = value.padding.pads;
  const [channels, height, width] = format === "NHWC" ? [c, a, b] : [a, b, c];
  const isSpatial = [n, channels].every((pads) => pads && pads[0] === 0 && pads[1] === 0);
  if (!isSpatial || !height || !width) return { input: value, padding };
  return { input: value.padding.of, padding: { kind: "explicit", pads: [height, width] satisfies Pads } };
}

function convolution(kernelOf: (op: Op) => Kernel): Lowering {
  return (op) => {
    const format = dataFormat(op);
    const kernel = kernelOf(op);
    const window: Window = {
      kernel: [kernel.height, kernel.width],
      strides: heightWidth(op.attributes.ints("strides"), format),
      dilations: heightWidth(op.attributes.ints("dilations"), format),
    };
    const image = op.input(0);
    const { n, h, w, c } = imageDimensions(image.shape, format);
    const padding = paddingOf(op, [h, w], window, format);
    const [height, width] = outputSize([h, w], window, padding);
    const group = groups(op, kernel, c);
    const source = unpadded(image, padding, format);
    const { dtype } = image;
    const pixels = toCompute(op.emit, imageName(op.emit, source.input, format), dtype);
    const isSampling = kernel.height === 1 && kernel.width === 1 && isWithoutPads(source.padding);
    const [images, own] = isSampling ? [sampled(op.emit, pixels, window), DENSE] : [pixels, window];
    const attributes = { ...windowAttributes(own, source.padding), group };
    const names = [images, toCompute(op.emit, kernel.name, dtype)];
    const name = fromCompute(op.emit, op.emit.node("Conv", names, attributes)[0], dtype);
    return imageValue(name, dtype, imageShape({ n, h: height, w: width, c: kernel.outChannels }, format), format);
  };
}

/** A window of one pixel that passes over each. */
const DENSE: Window = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1] };

/**
 * The pixels that a window of one pixel stops at. A strided convolution of single pixels runs in half of the time when it is given
 * these: ONNX Runtime has a faster kernel for dense ones, and an average over one pixel, which it has in the layout of its convolutions.
 */
function sampled(emit: Emitter, image: string, { strides }: Window): string {
  if (strides.every((stride) => stride === 1)) return image;
  return emit.node("AveragePool", [image], { kernel_shape: [1, 1], strides })[0];
}

function isWithoutPads(padding: Padding): boolean {
  return padding.kind === "explicit" && padding.pads.flat().every((size) => size === 0);
}

function groups(op: Op, kernel: Kernel, channels: number): number {
  if (op.node.op.includes("Depthwise")) return kernelShape(op.input(1))[2];
  if (channels < 0) return 1;
  if (channels % kernel.inChannels !== 0) unlowerable("channels that are no multiple of the kernel's");
  return channels / kernel.inChannels;
}

/** The gradient of a convolution, as Keras uses it in Conv2DTranspose: operands are output size, kernel [h, w, out, in], images. */
const transposedConvolution: Lowering = (op) => {
  const format = dataFormat(op);
  const value = op.input(1);
  const [height, width, outChannels] = kernelShape(value);
  const image = op.input(2);
  const padding = op.attributes.string("padding", "");
  if (padding !== "VALID" && padding !== "SAME") unlowerable("explicit padding of a transposed convolution");
  const strides = heightWidth(op.attributes.ints("strides"), format);
  const dilations = heightWidth(op.attributes.ints("dilations"), format);
  const { n, h, w } = imageDimensions(image.shape, format);
  const wanted = imageDimensions(
    knownElements(op.input(0))?.map((size) => size ?? -1),
    format,
  );
  const kernelName = value.constant
    ? op.emit.transposedInitializer(value.constant, KERNEL_ORDER)
    : op.emit.node("Transpose", [op.emit.plain(value)], { perm: KERNEL_ORDER })[0];
  const { dtype } = image;
  const operands = [imageName(op.emit, image, format), kernelName].map((name) => toCompute(op.emit, name, dtype));
  const axes = op.emit.ints(format === "NHWC" ? [1, 2] : [2, 3]);
  const name = convTranspose(op.emit, operands, {
    kernel: [height, width],
    strides,
    dilations,
    input: [h, w],
    wanted: [wanted.h, wanted.w],
    wantedName: () => op.emit.node("Gather", [op.emit.asInt64(op.input(0)), axes])[0],
  });
  const shape = imageShape({ n, h: wanted.h, w: wanted.w, c: outChannels }, format);
  return imageValue(fromCompute(op.emit, name, dtype), dtype, shape, format);
};

export const CONVOLUTION: LoweringTable = {
  Conv2D: convolution(convolutionKernel),
  Conv2DBackpropInput: transposedConvolution,
  DepthwiseConv2dNative: convolution(depthwiseKernel),
};
