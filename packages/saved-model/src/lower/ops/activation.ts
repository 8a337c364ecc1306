import { elementwise, fromCompute, toCompute } from "../elementwise.ts";
import type { Emitter } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { OnnxAttribute } from "../../onnx/model.ts";

type Attrs = Readonly<Record<string, OnnxAttribute>>;

/** An activation that ONNX has under some name. */
function activation(onnxOp: string, attributes: (op: Op) => Attrs = () => ({})): Lowering {
  return (op) => elementwise(op.emit, [op.input(0)], ([x]) => op.emit.node(onnxOp, [x], attributes(op))[0]);
}

/** min(max(x, 0), 6); ONNX Runtime fuses Clip into a convolution before it. */
const relu6: Lowering = (op) =>
  elementwise(op.emit, [op.input(0)], ([x], compute) => {
    const clip = compute === "float" || compute === "double";
    if (clip) return op.emit.node("Clip", [x, op.emit.scalar(0, compute), op.emit.scalar(6, compute)])[0];
    return clipIntegers(op.emit, x);
  });

function clipIntegers(emit: Emitter, x: string): string {
  const six = emit.initializer({ dtype: "int32", shape: [], data: Int32Array.of(6) });
  return emit.node("Min", [emit.node("Relu", [x])[0], six])[0];
}

/** SELU's constants, as the paper and both frameworks have them. */
const SELU = { alpha: { float: 1.6732632423543772 }, gamma: { float: 1.0507009873554805 } };

/** Softmax over the last axis of the values in TensorFlow's order. */
function softmax(onnxOp: string): Lowering {
  return (op) => {
    const value = op.input(0);
    const { dtype, shape } = value;
    const [name] = op.emit.node(onnxOp, [toCompute(op.emit, op.emit.plain(value), dtype)], { axis: -1 });
    return { kind: "tensor", dtype, shape, plain: fromCompute(op.emit, name, dtype) };
  };
}

export const ACTIVATION: LoweringTable = {
  Elu: activation("Elu"),
  // Where it is fused into another op, its slope goes by another name.
  LeakyRelu: activation("LeakyRelu", ({ attributes }) => ({
    alpha: { float: attributes.float("alpha", attributes.float("leakyrelu_alpha", 0.2)) },
  })),
  LogSoftmax: softmax("LogSoftmax"),
  Prelu: (op) => elementwise(op.emit, [op.input(0), op.input(1)], (names) => op.emit.node("PRelu", names)[0]),
  Relu: activation("Relu"),
  Relu6: relu6,
  Selu: activation("Selu", () => SELU),
  Sigmoid: activation("Sigmoid"),
  Softmax: softmax("Softmax"),
  Softplus: activation("Softplus"),
  Softsign: activation("Softsign"),
  Tanh: activation("Tanh"),
};
