import type { DType, Tensor } from "@cloister/encoding/tensor";

/** An attribute's value. A bare number is an integer attribute; floats are marked. */
export type OnnxAttribute =
  number | string | readonly number[] | { readonly float: number } | { readonly floats: readonly number[] };

export interface OnnxNode {
  readonly op: string;
  /** "" for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: DType;
  /** -1 for an unknown dimension; `undefined` leaves the rank open. */
  readonly shape: readonly number[] | undefined;
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

/** Operator set and IR version of every lowered graph. */
export const OPSET = 17;
export const IR_VERSION = 8;

/** The part of a graph that `outputs` need. Inputs that nothing needs any more are left out. */
export function pruneGraph(graph: Omit<OnnxGraph, "outputs">, outputs: readonly OnnxValueInfo[]): OnnxGraph {
  const needed = new Set(outputs.map(({ name }) => name));
  const nodes: OnnxNode[] = [];
  // Nodes are in topological order, so one pass backwards sees every consumer before its producer.
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of node.inputs) needed.add(name);
    nodes.push(node);
  }
  return {
    nodes: nodes.reverse(),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    inputs: graph.inputs.filter(({ name }) => needed.has(name)),
    outputs,
  };
}
