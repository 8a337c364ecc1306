import { type Emitter, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts, type Shape, type TensorValue, TO_CHANNELS_FIRST } from "../value.ts";

type Pads = readonly (readonly [number, number])[];

/** Begin and end padding of each axis, from the constant operand of shape [rank, 2]. */
function padsOf(value: TensorValue): Pads {
  const { constant } = value;
  if (!constant || constant.shape.length !== 2 || constant.shape[1] !== 2)
    return unlowerable("paddings that are computed");
  const flat = Array.from(constant.data as Int32Array | BigInt64Array, Number);
  return Array.from({ length: flat.length / 2 }, (_, axis) => [flat[2 * axis] ?? 0, flat[2 * axis + 1] ?? 0] as const);
}

function paddedShape(shape: Shape, pads: Pads): Shape {
  return shape?.map((size, axis) => (size < 0 ? -1 : size + (pads[axis]?.[0] ?? 0) + (pads[axis]?.[1] ?? 0)));
}

function padNode(emit: Emitter, name: string, pads: Pads, mode: string, fill?: string): string {
  const flat = [...pads.map(([begin]) => begin), ...pads.map(([, end]) => end)];
  return emit.node("Pad", [name, emit.ints(flat), ...(fill === undefined ? [] : [fill])], { mode })[0];
}

function padInLayout(op: Op, value: TensorValue, pads: Pads, mode: string, fill?: string): TensorValue {
  const { emit } = op;
  const type = { kind: "tensor", dtype: value.dtype, shape: paddedShape(value.shape, pads) } as const;
  if (!emit.prefersChannelsFirst(value)) return { ...type, plain: padNode(emit, emit.plain(value), pads, mode, fill) };
  const permuted = TO_CHANNELS_FIRST.map((axis) => pads[axis] ?? ([0, 0] as const));
  return { ...type, channelsFirst: padNode(emit, emit.channelsFirst(value), permuted, mode, fill) };
}

/** Padding of a width that is known when the program runs. */
function padComputed(op: Op, mode: string, fill?: string): TensorValue {
  const { emit } = op;
  const { dtype, shape } = op.input(0);
  const [turned] = emit.node("Transpose", [emit.asInt64(op.input(1))], { perm: [1, 0] });
  const [pads] = emit.node("Reshape", [turned, emit.ints([-1])]);
  const operands = [emit.plain(op.input(0)), pads, ...(fill === undefined ? [] : [fill])];
  return emit.plainNode("Pad", operands, { dtype, shape: shape?.map(() => -1) }, { mode });
}

/** Zeros around a tensor. The value remembers what it surrounds, for a convolution that can pad by itself. */
const pad: Lowering = (op) => {
  const value = op.input(0);
  if (!op.input(1).constant) return padComputed(op, "constant");
  const pads = padsOf(op.input(1));
  const padded = padInLayout(op, value, pads, "constant");
  return value.shape?.length === 4 ? { ...padded, padding: { of: value, pads } } : padded;
};

const padWith: Lowering = (op) => {
  const fill = op.emit.plain(op.input(2));
  if (!op.input(1).constant) return padComputed(op, "constant", fill);
  return padInLayout(op, op.input(0), padsOf(op.input(1)), "constant", fill);
};

/** The edge is repeated too, which ONNX cannot: each axis is joined with its own ends, turned around. */
function symmetricPad(op: Op): TensorValue {
  const { emit } = op;
  const value = op.input(0);
  const pads = padsOf(op.input(1));
  let name = emit.plain(value);
  for (const [axis, [before, after]] of pads.entries()) {
    const turned = (start: number, end: number): string =>
      emit.node("Slice", [name, emit.ints([start]), emit.ints([end]), emit.ints([axis]), emit.ints([-1])])[0];
    const parts = [
      ...(before > 0 ? [turned(before - 1, -Number.MAX_SAFE_INTEGER)] : []),
      name,
      ...(after > 0 ? [turned(-1, -1 - after)] : []),
    ];
    if (parts.length > 1) [name] = emit.node("Concat", parts, { axis });
  }
  return { kind: "tensor", dtype: value.dtype, shape: paddedShape(value.shape, pads), plain: name };
}

const mirrorPad: Lowering = (op) => {
  if (op.attributes.string("mode", "") !== "REFLECT") return symmetricPad(op);
  if (!op.input(1).constant) return padComputed(op, "reflect");
  return padInLayout(op, op.input(0), padsOf(op.input(1)), "reflect");
};

/** Zeros around blocks of an image, as dilated convolutions in old graphs have them. */
const spaceToDepth: Lowering = (op) => {
  if (op.attributes.string("data_format", "NHWC") !== "NHWC") unlowerable("space to depth outside NHWC");
  const blocksize = op.attributes.int("block_size", 1);
  const value = op.input(0);
  const [n = -1, h = -1, w = -1, c = -1] = value.shape ?? [];
  const divide = (size: number): number => (size < 0 ? -1 : size / blocksize);
  const shape = [n, divide(h), divide(w), c < 0 ? -1 : c * blocksize * blocksize];
  return op.emit.channelsFirstNode(
    "SpaceToDepth",
    [op.emit.channelsFirst(value)],
    { dtype: value.dtype, shape },
    { blocksize },
  );
};

const depthToSpace: Lowering = (op) => {
  if (op.attributes.string("data_format", "NHWC") !== "NHWC") unlowerable("depth to space outside NHWC");
  const blocksize = op.attributes.int("block_size", 1);
  const value = op.input(0);
  const [n = -1, h = -1, w = -1, c = -1] = value.shape ?? [];
  const multiply = (size: number): number => (size < 0 ? -1 : size * blocksize);
  const shape = [n, multiply(h), multiply(w), c < 0 ? -1 : c / blocksize ** 2];
  const attributes = { blocksize, mode: "DCR" };
  return op.emit.channelsFirstNode(
    "DepthToSpace",
    [op.emit.channelsFirst(value)],
    { dtype: value.dtype, shape },
    attributes,
  );
};

/** Resizes an image. The three conventions of TensorFlow are ONNX's coordinate transformations. */
function resize(mode: "linear" | "nearest"): Lowering {
  return (op) => {
    const [value, size] = [op.input(0), op.input(1)];
    const isAligned = op.attributes.bool("align_corners", false);
    const isHalfPixel = op.attributes.bool("half_pixel_centers", false);
    if (mode === "nearest" && isAligned && isHalfPixel) unlowerable("aligned corners together with half pixels");
    const [n = -1, , , c = -1] = value.shape ?? [];
    const [height = -1, width = -1] = knownInts(size) ?? [];
    const source = op.emit.channelsFirst(value);
    const [batchAndChannels] = op.emit.node("Slice", [
      op.emit.node("Shape", [source])[0],
      op.emit.ints([0]),
      op.emit.ints([2]),
    ]);
    const [sizes] = op.emit.node("Concat", [batchAndChannels, op.emit.asInt64(size)], { axis: 0 });
    const attributes = {
      mode,
      coordinate_transformation_mode: transformation(isAligned, isHalfPixel),
      // The oldest convention takes the floor of the position. With half pixels TensorFlow takes the floor of one that ONNX
      // counts half a pixel lower, which is rounding.
      ...(mode === "nearest" && { nearest_mode: isAligned || isHalfPixel ? "round_prefer_ceil" : "floor" }),
    };
    const dtype = mode === "linear" ? "float" : value.dtype;
    const input = mode === "linear" && value.dtype !== "float" ? op.emit.cast(source, "float") : source;
    return op.emit.channelsFirstNode(
      "Resize",
      [input, "", "", sizes],
      { dtype, shape: [n, height, width, c] },
      attributes,
    );
  };
}

function transformation(isAligned: boolean, isHalfPixel: boolean): string {
  if (isAligned) return "align_corners";
  if (!isHalfPixel) return "asymmetric";
  return "half_pixel";
}

export const PADDING: LoweringTable = {
  DepthToSpace: depthToSpace,
  MirrorPad: mirrorPad,
  Pad: pad,
  PadV2: padWith,
  ResizeBilinear: resize("linear"),
  ResizeNearestNeighbor: resize("nearest"),
  SpaceToDepth: spaceToDepth,
};
