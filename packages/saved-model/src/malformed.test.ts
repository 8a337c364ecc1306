import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { AttrValueSchema } from "@cloister/encoding/gen/tensorflow/core/framework/attr_value_pb";
import { type FunctionDef, FunctionDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import { type GraphDef, GraphDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/graph_pb";
import { type NodeDef, NodeDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import * as fc from "fast-check";
import { importFrozenGraph } from "./import/import-frozen-graph.ts";
import { readSavedModel } from "./saved-model.ts";
import { SignatureProgram } from "./program.ts";

const MODELS = join(import.meta.dirname, "../test-models");

const FLOAT = create(AttrValueSchema, { value: { case: "type", value: DataType.DT_FLOAT } });

function node(name: string, op: string, input: string[] = [], attr: NodeDef["attr"] = {}): NodeDef {
  return create(NodeDefSchema, { name, op, input, attr });
}

function placeholder(name: string): NodeDef {
  return node(name, "Placeholder", [], { dtype: FLOAT });
}

function call(name: string, functionName: string, input: string[]): NodeDef {
  return node(name, "PartitionedCall", input, {
    f: create(AttrValueSchema, { value: { case: "func", value: { name: functionName } } }),
  });
}

/** A function of one argument that calls others with it, `times` times each, and returns the last result. */
function caller(name: string, callee: string, times = 1): FunctionDef {
  const calls = Array.from({ length: times }, (_, i) => call(`c${i}`, callee, [i === 0 ? "x" : `c${i - 1}:output:0`]));
  return create(FunctionDefSchema, {
    signature: {
      name,
      inputArg: [{ name: "x", type: DataType.DT_FLOAT }],
      outputArg: [{ name: "y", type: DataType.DT_FLOAT }],
    },
    nodeDef: calls,
    ret: { y: `c${times - 1}:output:0` },
  });
}

function load(graph: Partial<Pick<GraphDef, "node">> & { functions?: FunctionDef[] }, outputs = ["predict"]): string {
  const graphDef = create(GraphDefSchema, { node: graph.node ?? [], library: { function: graph.functions ?? [] } });
  try {
    const { files } = importFrozenGraph(toBinary(GraphDefSchema, graphDef), { outputs });
    const missing = new SignatureProgram(readSavedModel(files), "serving_default", "declared").missing();
    return missing.map(({ op, reason }) => `${op}: ${reason}`).join("; ") || "loaded";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("hostile graphs", () => {
  it("names what is left of a loop or condition that has not the form of one", () => {
    const frame = {
      frame_name: create(AttrValueSchema, { value: { case: "s", value: new TextEncoder().encode("f") } }),
    };
    const withoutEnd = [
      placeholder("input"),
      node("enter", "Enter", ["input"], frame),
      node("merge", "Merge", ["enter", "next"]),
      node("switch", "Switch", ["merge", "merge"]),
      node("next", "NextIteration", ["switch:1"]),
      node("predict", "Exit", ["switch"]),
    ];
    assert.match(load({ node: withoutEnd }), /Exit/);
    const openCondition = [
      placeholder("input"),
      node("switch", "Switch", ["input", "input"]),
      node("predict", "Merge", ["switch", "switch"]),
    ];
    assert.match(load({ node: openCondition }), /Merge|Switch/);
    const itself = [placeholder("input"), node("predict", "Merge", ["predict", "input"])];
    assert.equal(load({ node: itself }), "GRAPH_CYCLE");
  });

  it("refuses a function that calls itself, directly or through another", () => {
    const start = [placeholder("input"), call("predict", "f", ["input"])];
    assert.equal(load({ node: start, functions: [caller("f", "f")] }), "FUNCTION_CYCLE");
    assert.equal(load({ node: start, functions: [caller("f", "g"), caller("g", "f")] }), "FUNCTION_CYCLE");
  });

  it("refuses a call of a function that does not exist", () => {
    assert.equal(load({ node: [placeholder("input"), call("predict", "f", ["input"])] }), "FUNCTION_MISSING");
  });

  it("refuses calls that nest too deeply", () => {
    const functions = Array.from({ length: 100 }, (_, i) => caller(`f${i}`, `f${i + 1}`));
    assert.equal(load({ node: [placeholder("input"), call("predict", "f0", ["input"])], functions }), "LIMIT_EXCEEDED");
  });

  it("refuses functions that double at each level", () => {
    const functions = Array.from({ length: 40 }, (_, i) => caller(`f${i}`, `f${i + 1}`, 2));
    const identity = create(FunctionDefSchema, {
      signature: {
        name: "f40",
        inputArg: [{ name: "x", type: DataType.DT_FLOAT }],
        outputArg: [{ name: "y", type: DataType.DT_FLOAT }],
      },
      nodeDef: [node("i", "Identity", ["x"])],
      ret: { y: "i:output:0" },
    });
    const start = [placeholder("input"), call("predict", "f0", ["input"])];
    assert.equal(load({ node: start, functions: [...functions, identity] }), "LIMIT_EXCEEDED");
  });

  it("refuses nodes that depend on each other", () => {
    assert.equal(
      load({ node: [placeholder("input"), node("predict", "Relu", ["b"]), node("b", "Relu", ["predict"])] }),
      "GRAPH_CYCLE",
    );
    assert.equal(load({ node: [placeholder("input"), node("predict", "Relu", ["predict"])] }), "GRAPH_CYCLE");
  });

  it("takes a chain of 30,000 nodes without running out of stack", () => {
    const chain = Array.from({ length: 30_000 }, (_, i) =>
      node(`n${i}`, "Identity", [i === 0 ? "input" : `n${i - 1}`]),
    );
    assert.equal(load({ node: [placeholder("input"), ...chain] }, ["n29999"]), "loaded");
  });

  it("refuses duplicate names, missing nodes, missing outputs and unreadable edges", () => {
    const input = placeholder("input");
    assert.equal(load({ node: [input, input] }), "GRAPH_MALFORMED");
    assert.equal(load({ node: [input, node("predict", "Relu", ["nothing"])] }), "NODE_NOT_FOUND");
    assert.equal(
      load({ node: [input, node("a", "Relu", ["input"]), node("predict", "Relu", ["a:7"])] }),
      "GRAPH_MALFORMED",
    );
    assert.equal(load({ node: [input, node("predict", "Relu", ["input:x"])] }), "GRAPH_MALFORMED");
  });

  it("refuses a constant whose shape would fill the memory", () => {
    const tensor = { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 2n ** 40n }] }, floatVal: [1] };
    const value = create(AttrValueSchema, { value: { case: "tensor", value: tensor } });
    const nodes = [
      placeholder("input"),
      node("c", "Const", [], { dtype: FLOAT, value }),
      node("predict", "Add", ["input", "c"]),
    ];
    assert.match(load({ node: nodes }), /^Const: .*larger than the limit/);
  });

  it("names all missing ops at once, not those that only follow from them", () => {
    const nodes = [
      placeholder("input"),
      node("a", "Foo", ["input"]),
      node("b", "Bar", ["a"]),
      node("predict", "Relu", ["b"]),
    ];
    assert.equal(load({ node: nodes }), "Foo: the op is not supported; Bar: the op is not supported");
  });

  it("leaves out what no output needs", () => {
    assert.equal(
      load({ node: [placeholder("input"), node("a", "Foo", ["input"]), node("predict", "Relu", ["input"])] }),
      "loaded",
    );
  });

  it("takes names of objects' own properties as ordinary names", () => {
    const nodes = [
      placeholder("input"),
      node("__proto__", "Relu", ["input"]),
      node("predict", "constructor", ["__proto__"]),
    ];
    assert.equal(load({ node: nodes }), "constructor: the op is not supported");
  });
});

describe("damaged files", () => {
  const original = new Uint8Array(
    readFileSync(join(MODELS, "tfserving/saved_model_half_plus_two_tf2_cpu/00000123/saved_model.pb")),
  );

  it("gives a coded error for any truncation", () => {
    for (let length = 0; length < original.length; length += 997) {
      assert.throws(
        () => readSavedModel(new Map([["saved_model.pb", original.subarray(0, length)]])),
        (error) => typeof (error as { code?: unknown }).code === "string",
      );
    }
  });

  it("gives a coded error or a model for any changed bytes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
        (changes) => {
          const bytes = original.slice();
          for (const [at, value] of changes) bytes[at] = value;
          try {
            const model = readSavedModel(new Map([["saved_model.pb", bytes]]));
            for (const key of model.signatures.keys()) new SignatureProgram(model, key, "declared").missing();
          } catch (error) {
            assert.equal(typeof (error as { code?: unknown }).code, "string", String((error as Error).stack));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("refuses other tags and lists those it has", () => {
    assert.throws(() => readSavedModel(new Map([["saved_model.pb", original]]), ["train"]), {
      code: "TAGS_NOT_FOUND",
      message: /\{serve\}/,
    });
  });
});
