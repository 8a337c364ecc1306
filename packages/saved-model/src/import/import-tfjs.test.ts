import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Attributes } from "../graph/attributes.ts";
import { readSavedModel } from "../saved-model.ts";
import { SignatureProgram } from "../program.ts";
import { importTfjsGraph, tfjsWeightPaths } from "./import-tfjs.ts";

function constant(name: string, dtype: string): object {
  return {
    name,
    op: "Const",
    attr: { dtype: { type: dtype }, value: { tensor: { dtype, tensorShape: { dim: [] } } } },
  };
}

const T = { T: { type: "DT_FLOAT" } };
/** predict = x + weights + bytes + halves, with the constants in two files whose border lies inside the first. */
const MODEL = {
  format: "graph-model",
  modelTopology: {
    node: [
      {
        name: "x",
        op: "Placeholder",
        attr: { dtype: { type: "DT_FLOAT" }, shape: { shape: { dim: [{ size: "3" }] } } },
      },
      constant("weights", "DT_FLOAT"),
      constant("bytes", "DT_FLOAT"),
      constant("halves", "DT_FLOAT"),
      { name: "a", op: "AddV2", input: ["x", "weights"], attr: T },
      { name: "b", op: "AddV2", input: ["a", "bytes"], attr: T },
      { name: "predict", op: "AddV2", input: ["b", "halves"], attr: T },
    ],
    versions: { producer: 1 },
  },
  weightsManifest: [
    {
      paths: ["group1-shard1of2.bin", "group1-shard2of2.bin"],
      weights: [
        { name: "weights", shape: [3], dtype: "float32" },
        { name: "bytes", shape: [3], dtype: "float32", quantization: { dtype: "uint8", scale: 0.5, min: -1 } },
        { name: "halves", shape: [3], dtype: "float32", quantization: { dtype: "float16" } },
      ],
    },
  ],
};
const CONTENT = Buffer.concat([
  Buffer.from(Float32Array.of(1.5, 2.5, 3.5).buffer),
  Buffer.of(0, 2, 255),
  Buffer.from(Float16Array.of(0.25, -2, 8).buffer),
]);
const WEIGHTS = new Map([
  ["group1-shard1of2.bin", new Uint8Array(CONTENT.subarray(0, 7))],
  ["group1-shard2of2.bin", new Uint8Array(CONTENT.subarray(7))],
]);

function encode(model: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(model));
}

describe("import of a TensorFlow.js graph model", () => {
  it("joins shards and writes quantised weights out", () => {
    assert.deepEqual(tfjsWeightPaths(encode(MODEL)), [...WEIGHTS.keys()]);
    const model = readSavedModel(importTfjsGraph(encode(MODEL), WEIGHTS).files);
    const values = (name: string): number[] => {
      const node = model.graph.nodes.get(name);
      assert.ok(node);
      return Array.from(new Attributes(node).tensor("value").data as Float32Array);
    };
    assert.deepEqual(values("weights"), [1.5, 2.5, 3.5]);
    assert.deepEqual(values("bytes"), [-1, 0, 126.5]);
    assert.deepEqual(values("halves"), [0.25, -2, 8]);
    assert.deepEqual([...(model.signatures.get("serving_default")?.outputs.keys() ?? [])], ["predict"]);
    assert.deepEqual(new SignatureProgram(model, "serving_default", "declared").missing(), []);
  });

  it("keeps the signature that the converter wrote down", () => {
    const signature = {
      inputs: { image: { name: "x:0", dtype: "DT_FLOAT", tensorShape: { dim: [{ size: "-1" }] } } },
      outputs: { sum: { name: "b:0", dtype: "DT_FLOAT", tensorShape: {} } },
    };
    const { signatures } = readSavedModel(importTfjsGraph(encode({ ...MODEL, signature }), WEIGHTS).files);
    assert.equal(signatures.get("serving_default")?.inputs.get("image")?.name, "x:0");
    assert.equal(signatures.get("serving_default")?.outputs.get("sum")?.name, "b:0");
  });

  it("refuses what does not fit together", () => {
    const code = (model: object, weights = WEIGHTS): string => {
      try {
        importTfjsGraph(encode(model), weights);
        return "imported";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    assert.equal(code({ modelTopology: { model_config: {} } }), "PROTO_MALFORMED");
    assert.equal(code(MODEL, new Map([...WEIGHTS].slice(0, 1))), "FILE_MISSING");
    assert.equal(
      code(MODEL, new Map([...WEIGHTS].map(([path, bytes]) => [path, bytes.subarray(1)]))),
      "PROTO_MALFORMED",
    );
    assert.equal(code({ ...MODEL, modelTopology: { node: [{ name: 5 }] } }), "PROTO_MALFORMED");
  });
});
