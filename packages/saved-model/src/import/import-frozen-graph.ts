import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { fault } from "../error.ts";
import { Attributes } from "../graph/attributes.ts";
import { decodeGraphDef, SAVED_MODEL_FILE } from "../graph/decode.ts";
import { type Graph, indexGraph, isControl, parseGraphEdge } from "../graph/graph.ts";
import { liftControlFlow } from "../graph/lift.ts";
import { lower } from "../lower/lower.ts";
import type { Feed } from "../lower/task.ts";
import type { ModelFiles } from "../model-files.ts";
import type { Signature, SignatureTensor } from "../saved-model.ts";
import { encodeSavedModel } from "../wire/signature-writer.ts";

export interface ImportOptions {
  /** Names of input nodes (`input`) or tensors (`input:0`), default `["input"]`. The alias is the node's name, or stands before: `alias=input:0`. */
  readonly inputs?: readonly string[];
  /** Names of output nodes or tensors, default `["predict"]`. */
  readonly outputs?: readonly string[];
  /** Default `serving_default`. */
  readonly signature?: string;
  /** Default `["serve"]`. */
  readonly tags?: readonly string[];
  /** Default `tensorflow/serving/predict`. */
  readonly methodName?: string;
}

export interface ImportedModel {
  readonly files: ModelFiles;
  readonly key: string;
  readonly signature: Signature;
}

export const PREDICT_METHOD = "tensorflow/serving/predict";

/**
 * Makes a SavedModel of a frozen GraphDef (all variables are constants). The graph's bytes go into it unchanged.
 *
 * @throws SavedModelError PROTO_MALFORMED; NODE_NOT_FOUND with the names that could be meant; UNSUPPORTED_OPS where the dtype of
 * an output cannot be told
 */
export function importFrozenGraph(graphDef: Uint8Array, options: ImportOptions = {}): ImportedModel {
  const { inputs = ["input"], outputs = ["predict"] } = options;
  const graph = indexGraph(decodeGraphDef(graphDef));
  const candidates = frozenGraphCandidates(graph);
  const sources = inputs.map(sourceOf);
  const results = outputs.map(sourceOf);
  const inputTensors = sources.map((name) => inputTensor(requireNode(graph, name, "input", candidates.inputs), name));
  for (const name of results) requireNode(graph, name, "output", candidates.outputs);
  const signature: Signature = {
    methodName: PREDICT_METHOD,
    inputs: byAlias(inputs, inputTensors),
    outputs: byAlias(outputs, outputTensors(graph, inputTensors, results)),
  };
  return encodeImported(graphDef, signature, options);
}

/** The SavedModel of a graph and its one signature. */
export function encodeImported(graphDef: Uint8Array, own: Signature, options: ImportOptions): ImportedModel {
  const { signature: key = "serving_default", tags = ["serve"], methodName = own.methodName } = options;
  const signature = { ...own, methodName };
  const savedModel = encodeSavedModel({ graphDef, tags, signatures: new Map([[key, signature]]) });
  return { files: new Map([[SAVED_MODEL_FILE, savedModel]]), key, signature };
}

/** Nodes that can be meant by inputs (placeholders) and by outputs (what no other node uses). */
export function frozenGraphCandidates(graph: Graph): { inputs: string[]; outputs: string[] } {
  const nodes = [...graph.nodes.values()];
  const used = new Set(
    nodes.flatMap(({ input }) => input.filter((name) => !isControl(name)).map((name) => parseGraphEdge(name).node)),
  );
  const isResult = ({ name, op }: NodeDef): boolean =>
    !used.has(name) && op !== "Const" && op !== "NoOp" && op !== "Placeholder";
  return {
    inputs: nodes.filter(({ op }) => op === "Placeholder").map(({ name }) => name),
    outputs: nodes.filter(isResult).map(({ name }) => name),
  };
}

/** What stands behind the alias; no node's name holds "=". */
function sourceOf(name: string): string {
  return name.slice(name.indexOf("=") + 1);
}

function byAlias(names: readonly string[], tensors: readonly SignatureTensor[]): ReadonlyMap<string, SignatureTensor> {
  const aliasOf = (name: string): string =>
    name.includes("=") ? name.slice(0, name.indexOf("=")) : parseGraphEdge(name).node;
  const aliases = names.map(aliasOf);
  // Two outputs of one node need their whole tensor names to differ.
  const isUnique = new Set(aliases).size === aliases.length;
  return new Map(tensors.map((tensor, index) => [(isUnique ? aliases : names)[index] ?? tensor.name, tensor]));
}

const MAX_LISTED = 20;

function requireNode(graph: Graph, name: string, kind: "input" | "output", candidates: readonly string[]): NodeDef {
  const node = graph.nodes.get(parseGraphEdge(name).node);
  if (node) return node;
  const listed = candidates.slice(0, MAX_LISTED).join(", ");
  throw fault(
    "NODE_NOT_FOUND",
    `the graph has no node ${name} for the ${kind}`,
    listed === "" ? `it has no candidate for an ${kind}` : `candidates are ${listed}`,
    `name the ${kind} nodes`,
  );
}

function tensorName(name: string): string {
  const { node, output } = parseGraphEdge(name);
  return `${node}:${output}`;
}

function inputTensor(node: NodeDef, name: string): SignatureTensor {
  const attributes = new Attributes(node);
  const dtype = attributes.dtype("dtype") ?? attributes.dtype("T");
  if (dtype) return { name: tensorName(name), dtype, shape: attributes.shape("shape") };
  throw fault("NODE_NOT_FOUND", `the node ${name} cannot be an input`, `it is a ${node.op}`, "name placeholder nodes");
}

/** Dtype and shape of the outputs follow from lowering the graph. */
function outputTensors(
  graph: Graph,
  inputs: readonly SignatureTensor[],
  outputs: readonly string[],
): SignatureTensor[] {
  const feeds: Feed[] = inputs.map(({ name, dtype, shape }) => ({ name, tensor: name, dtype, shape }));
  const names = outputs.map(tensorName);
  const context = {
    graph: liftControlFlow(graph),
    variables: new Map(),
    complexVariables: new Map(),
    mutable: new Set<string>(),
  };
  const lowered = lower(context, { feeds, given: new Map(), fetches: names, targets: [] });
  return names.map((name) => {
    const fetch = lowered.fetches.get(name);
    return { name, dtype: fetch?.dtype ?? "float", shape: fetch?.shape };
  });
}
