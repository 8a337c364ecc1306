import type { FunctionDef } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import type { GraphDef } from "@cloister/encoding/gen/tensorflow/core/framework/graph_pb";
import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { fault } from "../error.ts";
import { outputBase } from "./output-args.ts";

const MAX_NODES = 1_000_000;

export type NodeIndex = ReadonlyMap<string, NodeDef>;

/** A graph with its function library, indexed by name. */
export interface Graph {
  readonly nodes: NodeIndex;
  readonly functions: ReadonlyMap<string, FunctionDef>;
}

/** Indexes a GraphDef as it is written. @throws SavedModelError GRAPH_MALFORMED for duplicate names, LIMIT_EXCEEDED */
export function indexGraph(graphDef: GraphDef | undefined): Graph {
  const functions = new Map<string, FunctionDef>();
  for (const body of graphDef?.library?.function ?? []) functions.set(body.signature?.name ?? "", body);
  return { nodes: indexNodes(graphDef?.node ?? []), functions };
}

/** Nodes by name. */
export function indexNodes(nodes: readonly NodeDef[]): NodeIndex {
  if (nodes.length > MAX_NODES) {
    throw fault("LIMIT_EXCEEDED", "the graph is too large", `it has more than ${MAX_NODES} nodes`, "split the model");
  }
  const index = new Map<string, NodeDef>();
  for (const node of nodes) {
    if (index.has(node.name)) {
      throw fault(
        "GRAPH_MALFORMED",
        `two nodes are named ${node.name}`,
        "names must be unique",
        "export the model again",
      );
    }
    index.set(node.name, node);
  }
  return index;
}

/** One end of an edge: an output of a node. */
export interface Edge {
  readonly node: string;
  readonly output: number;
}

/** Whether an input names a control dependency. */
export function isControl(input: string): boolean {
  return input.startsWith("^");
}

/** The edge of a graph's input (`node`, `node:1`, `^node`) or a tensor name. */
export function parseGraphEdge(input: string): Edge {
  const [node = "", output] = (isControl(input) ? input.slice(1) : input).split(":");
  return { node, output: output === undefined ? 0 : parseIndex(output, input) };
}

/** The edge of a function body's input (`argument`, `node:out_arg:1`, `^node`). */
export function parseBodyEdge(input: string, nodes: NodeIndex): Edge {
  const [node = "", argument, index] = (isControl(input) ? input.slice(1) : input).split(":");
  if (argument === undefined) return { node, output: 0 };
  if (index === undefined) return { node, output: parseIndex(argument, input) };
  const producer = nodes.get(node);
  return { node, output: (producer ? outputBase(producer, argument) : 0) + parseIndex(index, input) };
}

function parseIndex(text: string, input: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw fault(
    "GRAPH_MALFORMED",
    `the edge ${input} cannot be read`,
    "its output is no number",
    "export the model again",
  );
}
