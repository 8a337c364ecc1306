import type { Tensor } from "@cloister/encoding/tensor";
import type { OnnxInitializer, OnnxNode } from "../model.ts";
import { bothOrders, type Fused, type NodeIndex } from "./node-index.ts";

/** Keras writes its axes so: B batch, T queries, S keys, N heads, H features of a head. */
const SCORES = "BTNH,BSNH->BNTS";
const WEIGHTED = "BNTS,BSNH->BTNH";

/**
 * Attention of several heads as Keras 3 writes it: softmax(scale * query x key) x value, each of the three a projection that was split
 * into heads and got its bias. ONNX Runtime has one kernel for the whole, which never holds all scores. With a mask it stays as it is.
 */
export function fuseAttention(index: NodeIndex, node: OnnxNode): Fused | undefined {
  if (node.op !== "Einsum" || node.attributes["equation"] !== WEIGHTED) return undefined;
  const softmax = index.maker(node.inputs[0], "Softmax");
  if (softmax?.attributes["axis"] !== -1) return undefined;
  const product = index.maker(softmax.inputs[0], "Mul");
  for (const [name, factor] of product ? bothOrders(product) : []) {
    const scores = index.maker(name, "Einsum");
    const scale = index.scalar(factor);
    if (scale === undefined || scores?.attributes["equation"] !== SCORES) continue;
    const heads = [...scores.inputs, node.inputs[1]].map((each) => splitHeads(index, each));
    const [query, key, value] = heads;
    if (query && key && value) return build(node, [query, key, value], scale);
  }
  return undefined;
}

/** A projection before it was split into heads. */
interface Projection {
  readonly name: string;
  /** First two axes of what it becomes, -1 where that is open. */
  readonly axes: readonly [number, number];
  /** Heads and features of each. */
  readonly split: readonly [number, number];
  readonly bias: OnnxInitializer;
}

function splitHeads(index: NodeIndex, name: string | undefined): Projection | undefined {
  const sum = index.maker(name, "Add");
  for (const [split, constant] of sum ? bothOrders(sum) : []) {
    const bias = index.constant(constant);
    const reshape = index.maker(split, "Reshape");
    const shape = index.constant(reshape?.inputs[1]);
    if (bias?.dtype !== "float" || bias.shape.length !== 2 || shape?.dtype !== "int64") continue;
    const [batch = 0, length = 0, ...rest] = Array.from(shape.make().data as BigInt64Array, Number);
    const [heads = 0, features = 0] = bias.shape;
    // 0 would mean what the source has there.
    const isSplit = rest.length === 2 && rest[0] === heads && rest[1] === features && batch !== 0 && length !== 0;
    if (isSplit) return { name: reshape?.inputs[0] ?? "", axes: [batch, length], split: [heads, features], bias };
  }
  return undefined;
}

function build(
  { outputs }: OnnxNode,
  projections: readonly [Projection, Projection, Projection],
  scale: number,
): Fused | undefined {
  const [query, key, value] = projections;
  const [heads, features] = query.split;
  if ([key, value].some(({ split }) => split[0] !== heads || split[1] !== features)) return undefined;
  const prefix = outputs[0] ?? "";
  const width = heads * features;
  const initializers = new Map<string, OnnxInitializer>();
  const reshape = (from: string, to: string, shape: readonly number[]): OnnxNode => {
    initializers.set(`${to}_shape`, ints(shape));
    return { op: "Reshape", inputs: [from, `${to}_shape`], outputs: [to], attributes: {} };
  };
  const flat = projections.map(({ name, axes }, place) => reshape(name, `${prefix}_${place}`, [...axes, width]));
  initializers.set(`${prefix}_bias`, joined(projections.map(({ bias }) => bias)));
  const attention: OnnxNode = {
    op: "MultiHeadAttention",
    domain: "com.microsoft",
    inputs: [...flat.flatMap((each) => each.outputs), `${prefix}_bias`],
    outputs: [`${prefix}_heads`],
    attributes: { num_heads: heads, scale: { float: scale } },
  };
  const nodes = [...flat, attention, reshape(`${prefix}_heads`, prefix, [...query.axes, heads, features])];
  return { nodes, initializers };
}

function ints(values: readonly number[]): OnnxInitializer {
  const tensor: Tensor = { dtype: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) };
  return { ...tensor, make: () => tensor };
}

/** Vectors one after the other. */
function joined(parts: readonly OnnxInitializer[]): OnnxInitializer {
  const data = Float32Array.from(parts.flatMap(({ make }) => [...(make().data as Float32Array)]));
  const tensor: Tensor = { dtype: "float", shape: [data.length], data };
  return { dtype: "float", shape: tensor.shape, make: () => tensor };
}
