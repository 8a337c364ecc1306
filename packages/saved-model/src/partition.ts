// A program is cut into steps that take turns: what ONNX computes (islands, as large as they can be) and what the host calls.

import type { DType, Tensor } from "@cloister/encoding/tensor";
import { encodeOnnxModel } from "./onnx/encode.ts";
import { DTYPES } from "./tensor/dtype.ts";
import { resultDType } from "./onnx/result-dtype.ts";
import {
  givesOf,
  type GraphNode,
  type HostNode,
  type MixedGraph,
  needsOf,
  type OnnxGraph,
  type OnnxNode,
  type OnnxValueInfo,
} from "./onnx/model.ts";
import type { Shape } from "./lower/value.ts";
import {
  borderName,
  isShortFloat,
  type ControlStep,
  type HostStep,
  type OnnxStep,
  type Step,
} from "./program-steps.ts";

export interface Partition {
  readonly steps: readonly Step[];
  /** Constants that host calls take. */
  readonly constants: ReadonlyMap<string, Tensor>;
}

type Types = ReadonlyMap<string, { readonly dtype: DType; readonly shape: Shape; readonly isSequence?: boolean }>;

/**
 * Cuts a graph into steps. Each node goes into the earliest step that its operands allow: host calls into even phases, ONNX
 * nodes into odd ones, so that an island takes in everything that needs no later host call.
 */
export function partition(graph: MixedGraph, outputs: ReadonlySet<string>, known: Types): Partition {
  const phases = phasesOf(graph.nodes);
  const types = typesOf(graph, known);
  const usedIn = new Map<string, Set<number>>();
  const sequences = sequencesOf(graph.nodes, known);
  const groups = Map.groupBy(graph.nodes, (node) => phases.get(node) ?? 0);
  for (const [phase, nodes] of groups) {
    if (phase % 2 === 1) groups.set(phase, [...makersOf(nodes as OnnxNode[], sequences), ...nodes]);
  }
  for (const [phase, nodes] of groups) {
    for (const name of nodes.flatMap(needsOf)) usedIn.set(name, (usedIn.get(name) ?? new Set()).add(phase));
  }
  const steps = [...groups]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([phase, nodes]): Step[] => {
      if (phase % 2 === 0) return (nodes as HostNode[]).map(hostStep);
      const isWanted = (name: string): boolean =>
        !sequences.has(name) && (outputs.has(name) || [...(usedIn.get(name) ?? [])].some((other) => other !== phase));
      return [onnxStep(graph, nodes as OnnxNode[], isWanted, types)];
    });
  const constants = new Map<string, Tensor>();
  const wanted = new Set([...outputs, ...steps.flatMap((step) => (step.kind === "onnx" ? [] : step.inputs))]);
  for (const name of wanted) {
    const initializer = graph.initializers.get(name);
    if (initializer) constants.set(name, initializer.make());
  }
  return { steps, constants };
}

function phasesOf(nodes: readonly GraphNode[]): ReadonlyMap<GraphNode, number> {
  const byName = new Map<string, number>();
  const byNode = new Map<GraphNode, number>();
  for (const node of nodes) {
    const parity = "host" in node ? 0 : 1;
    let latest = 0;
    for (const name of needsOf(node)) latest = Math.max(latest, byName.get(name) ?? 0);
    const phase = latest % 2 === parity ? latest : latest + 1;
    byNode.set(node, phase);
    for (const name of givesOf(node)) byName.set(name, phase);
  }
  return byNode;
}

const SEQUENCE_OPS: ReadonlySet<string> = new Set([
  "SequenceEmpty",
  "SequenceErase",
  "SequenceInsert",
  "SplitToSequence",
]);

/** The sequences of tensors among the values, with the nodes that make them. */
function sequencesOf(nodes: readonly GraphNode[], known: Types): ReadonlyMap<string, OnnxNode> {
  const sequences = new Map<string, OnnxNode>();
  for (const node of nodes) {
    if ("host" in node) continue;
    for (const name of node.outputs) {
      if (SEQUENCE_OPS.has(node.op) || known.get(name)?.isSequence === true) sequences.set(name, node);
    }
  }
  return sequences;
}

/** A sequence cannot leave its island: an island that takes one of an earlier island makes it again. */
function makersOf(nodes: readonly OnnxNode[], sequences: ReadonlyMap<string, OnnxNode>): readonly OnnxNode[] {
  const here = new Set(nodes);
  const makers = new Set<OnnxNode>();
  const add = (node: OnnxNode): void => {
    for (const name of needsOf(node)) {
      const maker = sequences.get(name);
      if (!maker || here.has(maker) || makers.has(maker)) continue;
      add(maker);
      makers.add(maker);
    }
  };
  for (const node of nodes) add(node);
  return [...makers];
}

function hostStep({ host, inputs, outputs }: HostNode): HostStep | ControlStep {
  return "bodies" in host ? { ...host, inputs, outputs } : { kind: "host", call: host, inputs, outputs };
}

function onnxStep(
  graph: MixedGraph,
  nodes: readonly OnnxNode[],
  isWanted: (name: string) => boolean,
  types: Types,
): OnnxStep {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const needed = new Set(nodes.flatMap(needsOf).filter((name) => name !== "" && !made.has(name)));
  const initializers = new Map([...graph.initializers].filter(([name]) => needed.has(name)));
  const info = (name: string): OnnxValueInfo => ({
    name,
    ...(types.get(name) ?? { dtype: "float", shape: undefined }),
  });
  const inputs = [...needed].filter((name) => !initializers.has(name)).map(info);
  const outputs = [...made].filter(isWanted).map(info);
  return {
    kind: "onnx",
    ...encodeOnnxModel(withBorders({ nodes, initializers, inputs, outputs })),
    inputs: inputs.map(({ name }) => name),
    outputs,
    nodeCount: nodes.length,
  };
}

/** ONNX Runtime's JavaScript interface takes no 16-bit floats: they cross as floats, which hold them exactly, by `borderName`. */
function withBorders({ nodes, initializers, inputs, outputs }: OnnxGraph): OnnxGraph {
  const isShort = ({ dtype }: OnnxValueInfo): boolean => isShortFloat(dtype);
  const border = (info: OnnxValueInfo): OnnxValueInfo =>
    isShort(info) ? { ...info, name: borderName(info.name, info.dtype), dtype: "float" } : info;
  const cast = (from: string, to: string, dtype: DType): OnnxNode => ({
    op: "Cast",
    inputs: [from],
    outputs: [to],
    attributes: { to: DTYPES[dtype].onnx },
  });
  const entries = inputs.filter(isShort).map(({ name, dtype }) => cast(borderName(name, dtype), name, dtype));
  const exits = outputs.filter(isShort).map(({ name, dtype }) => cast(name, borderName(name, dtype), "float"));
  return {
    nodes: [...entries, ...nodes, ...exits],
    initializers,
    inputs: inputs.map(border),
    outputs: outputs.map(border),
  };
}

/** Types of all values; ONNX's results get theirs from their operands. */
function typesOf(graph: MixedGraph, known: Types): Types {
  const types = new Map(known);
  for (const { name, dtype, shape } of graph.inputs) types.set(name, { dtype, shape });
  const dtypeOf = (name: string): DType => types.get(name)?.dtype ?? graph.initializers.get(name)?.dtype ?? "float";
  for (const node of graph.nodes) {
    if ("host" in node) continue;
    for (const [index, name] of node.outputs.entries()) {
      if (!types.has(name)) types.set(name, { dtype: resultDType(node, index, dtypeOf), shape: undefined });
    }
  }
  return types;
}
