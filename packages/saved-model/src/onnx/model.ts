import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { HostCall } from "../host/call.ts";
import type { ControlStep } from "../program-steps.ts";

/** An attribute's value. A bare number is an integer attribute; floats are marked. */
export type OnnxAttribute =
  number | string | readonly number[] | { readonly float: number } | { readonly floats: readonly number[] };

export interface OnnxNode {
  readonly op: string;
  /** Of the operator; absent for ONNX's own. */
  readonly domain?: "com.microsoft";
  /** "" for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
  /** Bodies of control flow, by attribute. */
  readonly subgraphs?: Readonly<Record<string, OnnxGraph>>;
  /** Values from outside that the subgraphs use. */
  readonly captures?: readonly string[];
}

/** Control flow that the host runs, see `ControlStep`. */
export type HostControl = Pick<ControlStep, "kind" | "bodies">;

/** What the host does between parts that ONNX computes. */
export interface HostNode {
  readonly host: HostCall | HostControl;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names that order calls on the model's state. */
  readonly token?: { readonly before: string | undefined; readonly after: string };
}

export type GraphNode = OnnxNode | HostNode;

/** All names that a node needs, also inside its subgraphs and for its order. */
export function needsOf(node: GraphNode): readonly string[] {
  if (!("host" in node)) return node.captures ? [...node.inputs, ...node.captures] : node.inputs;
  return node.token?.before === undefined ? node.inputs : [...node.inputs, node.token.before];
}

/** All names that a node makes. */
export function givesOf(node: GraphNode): readonly string[] {
  return "host" in node && node.token ? [...node.outputs, node.token.after] : node.outputs;
}

export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: DType;
  /** -1 for an unknown dimension; `undefined` leaves the rank open. */
  readonly shape: readonly number[] | undefined;
  /** The value is a sequence of such tensors. */
  readonly isSequence?: boolean;
}

/** A constant of the graph. Reordered weights are made only when a graph that needs them is encoded. */
export interface OnnxInitializer {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly make: () => Tensor;
}

/** A graph in ONNX's operators, before it is encoded. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxInitializer>;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

/** As `OnnxGraph`, with host calls among the nodes. */
export interface MixedGraph extends Omit<OnnxGraph, "nodes" | "outputs"> {
  readonly nodes: readonly GraphNode[];
}

/** The part of a graph that the values `outputs` need. Inputs that nothing needs any more are left out. */
export function pruneGraph(graph: MixedGraph, outputs: readonly string[]): MixedGraph {
  const needed = new Set(outputs);
  const nodes: GraphNode[] = [];
  // Nodes are in topological order, so one pass backwards sees every consumer before its producer.
  for (const node of graph.nodes.toReversed()) {
    if (!givesOf(node).some((name) => needed.has(name))) continue;
    for (const name of needsOf(node)) needed.add(name);
    nodes.push(node);
  }
  return {
    nodes: nodes.reverse(),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    inputs: graph.inputs.filter(({ name }) => needed.has(name)),
  };
}
