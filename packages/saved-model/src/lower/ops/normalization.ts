import { computeType, elementwise, fromCompute, toCompute } from "../elementwise.ts";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { dataFormat, imageName, imageValue } from "../spatial.ts";
import type { TensorValue } from "../value.ts";
import { reshapeTensor } from "../../tensor/transform.ts";

/** With mean and variance of its own batch: layer normalization of Keras 2 is written so. */
function batchStatistics(op: Op): readonly TensorValue[] {
  const format = dataFormat(op);
  const [image, scale, offset] = [op.input(0), op.input(1), op.input(2)];
  if (image.dtype !== "float" || (image.shape?.length ?? 4) !== 4) unlowerable("on its own statistics in this form");
  const { emit } = op;
  const x = imageName(emit, image, format);
  const axes = [0, 2, 3];
  const [mean] = emit.node("ReduceMean", [x], { axes, keepdims: 1 });
  const [centred] = emit.node("Sub", [x, mean]);
  const [variance] = emit.node("ReduceMean", [emit.node("Mul", [centred, centred])[0]], { axes, keepdims: 1 });
  const epsilon = emit.scalar(op.attributes.float("epsilon", 0.0001), "float");
  const [deviation] = emit.node("Sqrt", [emit.node("Add", [variance, epsilon])[0]]);
  const perChannel = (value: TensorValue): string => emit.node("Unsqueeze", [emit.plain(value), emit.ints([1, 2])])[0];
  const [scaled] = emit.node("Mul", [emit.node("Div", [centred, deviation])[0], perChannel(scale)]);
  const [name] = emit.node("Add", [scaled, perChannel(offset)]);
  const flat = (each: string): TensorValue =>
    emit.plainNode("Reshape", [each, emit.ints([-1])], { dtype: "float", shape: scale.shape });
  // The variance that is handed out is that of the population: one member less.
  const [members] = emit.node("Size", [x]);
  const [each] = emit.node("Div", [emit.cast(members, "float"), emit.cast(emit.node("Size", [mean])[0], "float")]);
  const [less] = emit.node("Max", [emit.node("Sub", [each, emit.scalar(1, "float")])[0], emit.scalar(1, "float")]);
  const [population] = emit.node("Mul", [variance, emit.node("Div", [each, less])[0]]);
  return [imageValue(name, image.dtype, image.shape, format), flat(mean), flat(population)];
}

/** Mean and variance are given. ONNX Runtime folds it into the convolution before it. */
const fusedBatchNorm: Lowering = (op) => {
  if (op.attributes.bool("is_training", true)) return batchStatistics(op);
  const format = dataFormat(op);
  const [image, scale, offset, mean, variance] = [op.input(0), op.input(1), op.input(2), op.input(3), op.input(4)];
  if (computeType(image.dtype) !== "float") unlowerable(`on ${image.dtype}`);
  const parameters = [scale, offset, mean, variance].map((value) => op.emit.plain(value));
  const epsilon = { float: op.attributes.float("epsilon", 0.0001) };
  const x = toCompute(op.emit, imageName(op.emit, image, format), image.dtype);
  const [name] = op.emit.node("BatchNormalization", [x, ...parameters], { epsilon });
  return [imageValue(fromCompute(op.emit, name, image.dtype), image.dtype, image.shape, format), mean, variance];
};

/** Adds a vector over the channels. */
const biasAdd: Lowering = (op) => {
  const [value, bias] = [op.input(0), op.input(1)];
  if (dataFormat(op) === "NHWC") return elementwise(op.emit, [value, bias], (names) => op.emit.node("Add", names)[0]);
  const rank = value.shape?.length ?? 4;
  const size = bias.shape?.[0] ?? unlowerable("a bias of unknown size");
  const shape = [size, ...Array<number>(Math.max(rank - 2, 0)).fill(1)];
  const column: TensorValue = bias.constant
    ? op.emit.constant(reshapeTensor(bias.constant, shape))
    : op.emit.plainNode("Reshape", [op.emit.plain(bias), op.emit.ints(shape)], { dtype: bias.dtype, shape });
  return elementwise(op.emit, [value, column], (names) => op.emit.node("Add", names)[0]);
};

/** Local response normalization; ONNX counts the whole window, TensorFlow its radius, and ONNX divides alpha by the size. */
const localResponse: Lowering = (op) => {
  const image = op.input(0);
  const size = 2 * op.attributes.int("depth_radius", 5) + 1;
  const attributes = {
    size,
    alpha: { float: op.attributes.float("alpha", 1) * size },
    beta: { float: op.attributes.float("beta", 0.5) },
    bias: { float: op.attributes.float("bias", 1) },
  };
  return op.emit.channelsFirstNode("LRN", [imageName(op.emit, image, "NHWC")], image, attributes);
};

export const NORMALIZATION: LoweringTable = {
  BiasAdd: biasAdd,
  FusedBatchNorm: fusedBatchNorm,
  FusedBatchNormV2: fusedBatchNorm,
  FusedBatchNormV3: fusedBatchNorm,
  LRN: localResponse,
};
