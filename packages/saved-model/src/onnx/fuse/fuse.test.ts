import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type MixedGraph, type OnnxAttribute, type OnnxInitializer, type OnnxNode, pruneGraph } from "../model.ts";
import { fuseNodes } from "./fuse.ts";

const floats = (shape: readonly number[], ...values: number[]): OnnxInitializer => ({
  dtype: "float",
  shape,
  make: () => ({ dtype: "float", shape, data: Float32Array.from(values) }),
});

/** `result = OP(a, b)`, with attributes where there are any. */
function node(text: string, attributes: Record<string, OnnxAttribute> = {}): OnnxNode {
  const [, result = "", op = "", inputs = ""] = /^(\w+) = (\w+)\(([\w, ]+)\)$/.exec(text) ?? [];
  return { op, inputs: inputs.split(", "), outputs: [result], attributes };
}

function fused(nodes: readonly OnnxNode[], initializers: Record<string, OnnxInitializer>): MixedGraph {
  const inputs = [{ name: "x", dtype: "float", shape: [-1, 5, 3] } as const];
  const graph = { nodes, initializers: new Map(Object.entries(initializers)), inputs };
  return pruneGraph(fuseNodes(graph), ["y"]);
}

const ops = ({ nodes }: MixedGraph): string[] => nodes.map((each) => ("op" in each ? each.op : ""));

const LAST = { axes: [2], keepdims: 1 };
const vector = floats([1, 1, 3], 1, 2, 3);

function layerNorm(offset: readonly OnnxNode[], axes = LAST): readonly OnnxNode[] {
  return [
    node("mean = ReduceMean(x)", axes),
    node("difference = Sub(x, mean)"),
    node("square = Mul(difference, difference)"),
    node("variance = ReduceMean(square)", axes),
    node("sum = Add(variance, epsilon)"),
    node("root = Sqrt(sum)"),
    node("inverse = Reciprocal(root)"),
    node("scale = Mul(inverse, gamma)"),
    ...offset,
    node("scaled = Mul(x, scale)"),
    node("y = Add(scaled, offset)"),
  ];
}

const KERAS = [node("negated = Neg(mean)"), node("shift = Mul(negated, scale)"), node("offset = Add(shift, beta)")];
const MOMENTS = [node("shift = Mul(mean, scale)"), node("offset = Sub(beta, shift)")];
const CONSTANTS = { epsilon: floats([], 1e-3), gamma: vector, beta: vector };

describe("layer normalization", () => {
  for (const [name, offset] of [
    ["of Keras 3", KERAS],
    ["of tf.nn.batch_normalization", MOMENTS],
  ] as const) {
    it(`${name} becomes one node`, () => {
      const graph = fused(layerNorm(offset), CONSTANTS);
      assert.deepEqual(ops(graph), ["LayerNormalization"]);
      const [only] = graph.nodes;
      assert.deepEqual(only && "op" in only && only.attributes, { axis: -1, epsilon: { float: Math.fround(1e-3) } });
      const [, scale = "", shift = ""] = only?.inputs ?? [];
      for (const each of [scale, shift]) assert.deepEqual(graph.initializers.get(each)?.make().shape, [3]);
    });
  }

  it("over another axis than the last stays as it is", () => {
    const gamma = floats([1, 5, 1], 1, 2, 3, 4, 5);
    const nodes = layerNorm(KERAS, { axes: [1], keepdims: 1 });
    assert.ok(!ops(fused(nodes, { ...CONSTANTS, gamma, beta: gamma })).includes("LayerNormalization"));
  });

  it("with the mean of something else stays as it is", () => {
    const [mean, ...rest] = layerNorm(KERAS);
    assert.deepEqual(mean?.outputs, ["mean"]);
    const nodes = [node("mean = ReduceMean(other)", LAST), ...rest];
    assert.ok(!ops(fused(nodes, CONSTANTS)).includes("LayerNormalization"));
  });
});

function gelu(factor: number): MixedGraph {
  const nodes = [
    node("negative = Neg(x)"),
    node("argument = Mul(negative, factor)"),
    node("erf = Erf(argument)"),
    node("complement = Sub(one, erf)"),
    node("half = Mul(point, x)"),
    node("y = Mul(half, complement)"),
  ];
  return fused(nodes, { factor: floats([], factor), one: floats([], 1), point: floats([], 0.5) });
}

describe("gelu", () => {
  it("with erfc becomes one node of ONNX Runtime", () => {
    const { nodes } = gelu(Math.SQRT1_2);
    assert.deepEqual(nodes, [{ op: "Gelu", domain: "com.microsoft", inputs: ["x"], outputs: ["y"], attributes: {} }]);
  });

  it("with another factor stays as it is", () => {
    assert.ok(ops(gelu(0.7)).includes("Erf"));
  });
});

const ints = (...values: number[]): OnnxInitializer => ({
  dtype: "int64",
  shape: [values.length],
  make: () => ({ dtype: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) }),
});

const SCORES = { equation: "BTNH,BSNH->BNTS" };
const WEIGHTED = { equation: "BNTS,BSNH->BTNH" };

/** Attention with two heads of three features; `between` is what stands between the scaled scores and the softmax. */
function attention(between: readonly OnnxNode[] = [], biasShape = [2, 3]): MixedGraph {
  const projection = (name: string): OnnxNode[] => [
    node(`${name}Split = Reshape(${name}, split)`),
    node(`${name}Heads = Add(${name}Split, ${name}Bias)`),
  ];
  const nodes = [
    ...["v", "k", "q"].flatMap(projection),
    node("scores = Einsum(qHeads, kHeads)", SCORES),
    node("scaled = Mul(scores, scale)"),
    ...between,
    node(`weights = Softmax(${between.at(-1)?.outputs[0] ?? "scaled"})`, { axis: -1 }),
    node("y = Einsum(weights, vHeads)", WEIGHTED),
  ];
  const bias = (first: number): OnnxInitializer => floats(biasShape, ...[0, 1, 2, 3, 4, 5].map((i) => first + i));
  const constants = { qBias: bias(0), kBias: bias(10), vBias: bias(20), scale: floats([], 0.5), mask: floats([], -1) };
  return fused(nodes, { ...constants, split: ints(-1, 5, 2, 3) });
}

describe("attention", () => {
  it("of several heads becomes one node, with its three biases in one", () => {
    const graph = attention();
    assert.deepEqual(ops(graph), ["Reshape", "Reshape", "Reshape", "MultiHeadAttention", "Reshape"]);
    const found = graph.nodes.find((each) => "op" in each && each.op === "MultiHeadAttention");
    assert.deepEqual(found && "op" in found && found.attributes, { num_heads: 2, scale: { float: 0.5 } });
    const bias = graph.initializers.get(found?.inputs[3] ?? "")?.make();
    assert.deepEqual(bias?.data, Float32Array.of(0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25));
    // The operands are query, key, value, whatever order they were made in.
    assert.deepEqual(
      graph.nodes.slice(0, 3).map((each) => each.inputs[0]),
      ["q", "k", "v"],
    );
  });

  it("with a mask stays as it is", () => {
    assert.ok(!ops(attention([node("masked = Add(scaled, mask)")])).includes("MultiHeadAttention"));
  });

  it("with biases of another shape stays as it is", () => {
    assert.ok(!ops(attention([], [6])).includes("MultiHeadAttention"));
  });
});

it("a transpose that moves nothing becomes an identity", () => {
  assert.deepEqual(ops(fused([node("y = Transpose(x)", { perm: [0, 1, 2] })], {})), ["Identity"]);
  assert.deepEqual(ops(fused([node("y = Transpose(x)", { perm: [1, 0, 2] })], {})), ["Transpose"]);
});
