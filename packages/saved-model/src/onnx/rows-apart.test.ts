import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MixedGraph, OnnxInitializer, OnnxNode } from "./model.ts";
import { keepsRowsApart } from "./rows-apart.ts";

const KERNEL: OnnxInitializer = constant([4, 3, 1, 1]);

function constant(shape: readonly number[]): OnnxInitializer {
  const length = shape.reduce((count, size) => count * size, 1);
  return { dtype: "float", shape, make: () => ({ dtype: "float", shape, data: new Float32Array(length) }) };
}

function integers(...values: number[]): OnnxInitializer {
  const shape = [values.length];
  return { dtype: "int64", shape, make: () => ({ dtype: "int64", shape, data: BigInt64Array.from(values, BigInt) }) };
}

type Attributes = OnnxNode["attributes"];

/** A convolution of images, then a node with its result `x` and perhaps a constant `c`. */
function verdict(op: string, attributes: Attributes = {}, c?: OnnxInitializer, order: readonly string[] = ["x", "c"]) {
  const inputs = c ? order : ["x"];
  const graph: MixedGraph = {
    nodes: [
      { op: "Conv", inputs: ["images", "kernel"], outputs: ["x"], attributes: {} },
      { op, inputs, outputs: ["y"], attributes },
    ],
    initializers: new Map([["kernel", KERNEL], ...(c ? [["c", c] as const] : [])]),
    inputs: [{ name: "images", dtype: "float", shape: [-1, 3, 8, 8] }],
  };
  return keepsRowsApart(graph, ["y"]);
}

describe("whether a network keeps its rows apart", () => {
  it("is so where each row of a result is made of that row", () => {
    assert.ok(verdict("Relu"));
    assert.ok(verdict("Softmax", { axis: -1 }));
    assert.ok(verdict("Add", {}, constant([1, 4, 1, 1])));
    assert.ok(verdict("Mul", {}, constant([4, 1, 1]), ["c", "x"]));
    assert.ok(verdict("Add", {}, constant([4]), ["x", "x"]));
    assert.ok(verdict("ReduceMean", { axes: [2, 3], keepdims: 0 }));
    assert.ok(verdict("Squeeze", {}, integers(-1, 2)));
    assert.ok(verdict("Transpose", { perm: [0, 2, 3, 1] }));
    assert.ok(verdict("Pad", {}, integers(0, 0, 1, 1, 0, 0, 1, 1)));
    assert.ok(verdict("Reshape", {}, integers(0, -1)));
    assert.ok(verdict("Concat", { axis: 1 }, constant([1]), ["x", "x"]));
  });

  it("is not where rows meet, move or multiply", () => {
    assert.ok(!verdict("Softmax", { axis: 0 }));
    assert.ok(!verdict("Softmax", { axis: -4 }));
    assert.ok(!verdict("Add", {}, constant([2, 4, 1, 1])));
    assert.ok(!verdict("Add", {}, constant([1, 1, 4, 1, 1])));
    assert.ok(!verdict("ReduceMean", { axes: [0, 2] }));
    assert.ok(!verdict("ReduceMean"), "all axes");
    assert.ok(!verdict("ReduceMax", { axes: [-4] }));
    assert.ok(!verdict("Squeeze", {}, integers(0)));
    assert.ok(!verdict("Transpose", { perm: [1, 0, 2, 3] }));
    assert.ok(!verdict("Pad", {}, integers(0, 0, 1, 1, 1, 0, 1, 1)));
    assert.ok(!verdict("Reshape", {}, integers(-1, 4)));
    assert.ok(!verdict("Concat", { axis: 0 }, constant([1]), ["x", "x"]));
    assert.ok(!verdict("Concat", { axis: 1 }, constant([1, 4, 8, 8])));
    assert.ok(!verdict("CumSum", {}, integers(0)), "an op that nothing is known of");
  });

  it("is not where the signature fixes the rows, or an output is a constant", () => {
    const nodes = [{ op: "Conv", inputs: ["images", "kernel"], outputs: ["y"], attributes: {} }];
    const initializers = new Map([["kernel", KERNEL]]);
    const images = (rows: number) => [{ name: "images", dtype: "float", shape: [rows, 3, 8, 8] } as const];
    assert.ok(keepsRowsApart({ nodes, initializers, inputs: images(-1) }, ["y"]));
    assert.ok(!keepsRowsApart({ nodes, initializers, inputs: images(4) }, ["y"]));
    assert.ok(!keepsRowsApart({ nodes, initializers, inputs: images(-1) }, ["y", "kernel"]));
  });
});
