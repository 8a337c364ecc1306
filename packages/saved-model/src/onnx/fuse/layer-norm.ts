import { reshapeTensor } from "../../tensor/transform.ts";
import type { OnnxInitializer, OnnxNode } from "../model.ts";
import { bothOrders, type Fused, keptAxis, type NodeIndex } from "./node-index.ts";

/**
 * Layer normalization as TensorFlow writes it: moments, then batch_normalization. With s = gamma / sqrt(variance + epsilon) it is
 * x * s + (-mean * s + beta) or x * s + (beta - mean * s). Over the last axis it is one node of ONNX.
 */
export function fuseLayerNorm(index: NodeIndex, node: OnnxNode): Fused | undefined {
  if (node.op !== "Add") return undefined;
  for (const [scaled, offset] of bothOrders(node)) {
    const product = index.maker(scaled, "Mul");
    if (!product) continue;
    for (const [x, scale] of bothOrders(product)) {
      const normalization = matchScale(index, x, scale);
      const beta = normalization && matchOffset(index, offset, normalization.mean, scale);
      if (normalization && beta !== undefined) return build(index, node, { ...normalization, x, beta });
    }
  }
  return undefined;
}

interface Scale {
  readonly mean: string;
  readonly gamma: string;
  readonly epsilon: number;
  readonly axis: number;
}

/** `scale` as gamma / sqrt(variance(x) + epsilon). */
function matchScale(index: NodeIndex, x: string, scale: string): Scale | undefined {
  const product = index.maker(scale, "Mul");
  for (const [inverse, gamma] of product ? bothOrders(product) : []) {
    const root = index.maker(index.maker(inverse, "Reciprocal")?.inputs[0], "Sqrt");
    const sum = index.maker(root?.inputs[0], "Add");
    for (const [variance, constant] of sum ? bothOrders(sum) : []) {
      const epsilon = index.scalar(constant);
      const moments = matchVariance(index, variance, x);
      if (epsilon !== undefined && moments) return { ...moments, gamma, epsilon };
    }
  }
  return undefined;
}

/** `variance` as the mean of (x - mean(x)) ^ 2. */
function matchVariance(index: NodeIndex, variance: string, x: string): Pick<Scale, "axis" | "mean"> | undefined {
  const outer = index.maker(variance, "ReduceMean");
  const square = index.maker(outer?.inputs[0], "Mul");
  const difference = square?.inputs[0] === square?.inputs[1] ? index.maker(square?.inputs[0], "Sub") : undefined;
  const mean = difference?.inputs[0] === x ? difference.inputs[1] : undefined;
  const inner = index.maker(mean, "ReduceMean");
  if (!outer || !inner || mean === undefined || inner.inputs[0] !== x) return undefined;
  const axis = keptAxis(outer);
  return axis !== undefined && axis === keptAxis(inner) ? { mean, axis } : undefined;
}

/** The name of beta in -mean * scale + beta or beta - mean * scale. */
function matchOffset(index: NodeIndex, offset: string, mean: string, scale: string): string | undefined {
  const isShift = (name: string, factor: (name: string) => boolean): boolean => {
    const product = index.maker(name, "Mul");
    return product !== undefined && bothOrders(product).some(([a, b]) => factor(a) && b === scale);
  };
  const difference = index.maker(offset, "Sub");
  if (difference && isShift(difference.inputs[1] ?? "", (name) => name === mean)) return difference.inputs[0];
  const sum = index.maker(offset, "Add");
  const isNegated = (name: string): boolean => index.maker(name, "Neg")?.inputs[0] === mean;
  return sum && bothOrders(sum).find(([shift]) => isShift(shift, isNegated))?.[1];
}

function build(
  index: NodeIndex,
  { outputs }: OnnxNode,
  { x, gamma, beta, epsilon, axis }: Scale & { readonly x: string; readonly beta: string },
): Fused | undefined {
  const [scale, shift] = [lastAxisOnly(index, gamma, axis), lastAxisOnly(index, beta, axis)];
  if (!scale || !shift || scale.shape[0] !== shift.shape[0]) return undefined;
  const names = [`${outputs[0]}_scale`, `${outputs[0]}_shift`] as const;
  const attributes = { axis: -1, epsilon: { float: epsilon } };
  return {
    nodes: [{ op: "LayerNormalization", inputs: [x, ...names], outputs, attributes }],
    initializers: new Map([
      [names[0], scale],
      [names[1], shift],
    ]),
  };
}

/** A constant over the last axis alone, as a vector. Its rank says which axis is the last. */
function lastAxisOnly(index: NodeIndex, name: string, axis: number): OnnxInitializer | undefined {
  const constant = index.constant(name);
  if (constant?.dtype !== "float") return undefined;
  const { shape, make } = constant;
  const isLast = axis === -1 || shape.length === axis + 1;
  if (!isLast || shape.slice(0, -1).some((size) => size !== 1)) return undefined;
  const vector = shape.slice(-1);
  return { dtype: "float", shape: vector, make: () => reshapeTensor(make(), vector) };
}
