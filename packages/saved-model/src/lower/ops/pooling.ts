import { fromCompute, toCompute } from "../elementwise.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import {
  dataFormat,
  heightWidth,
  imageDimensions,
  imageName,
  imageShape,
  imageValue,
  outputSize,
  paddingOf,
  type Window,
  windowAttributes,
} from "../spatial.ts";
import { unlowerable } from "../emitter.ts";

/** A pooling over height and width. Averages leave the padding out of the count, as TensorFlow does. */
function pooling(onnxOp: "MaxPool" | "AveragePool"): Lowering {
  return (op) => {
    const format = dataFormat(op);
    const sizes = op.attributes.ints("ksize");
    if (sizes[0] !== 1 || sizes[format === "NHWC" ? 3 : 1] !== 1) unlowerable("pooling over batch or channels");
    const window: Window = {
      kernel: heightWidth(sizes, format),
      strides: heightWidth(op.attributes.ints("strides"), format),
      dilations: [1, 1],
    };
    const image = op.input(0);
    const { n, h, w, c } = imageDimensions(image.shape, format);
    const padding = paddingOf(op, [h, w], window, format);
    const [height, width] = outputSize([h, w], window, padding);
    const attributes = {
      ...windowAttributes(window, padding),
      ...(onnxOp === "AveragePool" && { count_include_pad: 0 }),
    };
    const source = toCompute(op.emit, imageName(op.emit, image, format), image.dtype);
    const name = fromCompute(op.emit, op.emit.node(onnxOp, [source], attributes)[0], image.dtype);
    return imageValue(name, image.dtype, imageShape({ n, h: height, w: width, c }, format), format);
  };
}

export const POOLING: LoweringTable = {
  AvgPool: pooling("AveragePool"),
  MaxPool: pooling("MaxPool"),
};
