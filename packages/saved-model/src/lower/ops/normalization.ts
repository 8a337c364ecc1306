import { elementwise } from "../elementwise.ts";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { dataFormat, imageName, imageValue } from "../spatial.ts";
import type { TensorValue } from "../value.ts";
import { reshapeTensor } from "../../tensor/transform.ts";

/** Inference only: mean and variance are given. ONNX Runtime folds it into the convolution before it. */
const fusedBatchNorm: Lowering = (op) => {
  if (op.attributes.bool("is_training", true)) unlowerable("batch normalization in training mode");
  const format = dataFormat(op);
  const [image, scale, offset, mean, variance] = [op.input(0), op.input(1), op.input(2), op.input(3), op.input(4)];
  if (image.dtype !== "float") unlowerable(`on ${image.dtype}`);
  const parameters = [scale, offset, mean, variance].map((value) => op.emit.plain(value));
  const epsilon = { float: op.attributes.float("epsilon", 0.0001) };
  const [name] = op.emit.node("BatchNormalization", [imageName(op.emit, image, format), ...parameters], { epsilon });
  return [imageValue(name, image.dtype, image.shape, format), mean, variance];
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
