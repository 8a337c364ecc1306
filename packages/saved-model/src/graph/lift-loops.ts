// Loops of TensorFlow 1 are cycles of nodes: Enter -> Merge -> Switch -> body -> NextIteration -> Merge, and Exit behind the
// Switch. Each becomes a While node with two functions, as TensorFlow 2 writes loops.

import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { Attributes } from "./attributes.ts";
import { cutBody, edgeText, functionAttribute, newNode } from "./cut.ts";
import { type Edge, isControl, type NodeIndex, parseGraphEdge } from "./graph.ts";
import { type LiftedGraph, MERGE_OPS, SWITCH_OPS } from "./lifted-graph.ts";

const ENTER_OPS: ReadonlySet<string> = new Set(["Enter", "RefEnter"]);
const EXIT_OPS: ReadonlySet<string> = new Set(["Exit", "RefExit"]);
const NEXT_OPS: ReadonlySet<string> = new Set(["NextIteration", "RefNextIteration"]);

/** A value that a loop changes from round to round. */
interface LoopVariable {
  readonly enter: NodeDef;
  readonly merge: NodeDef;
  readonly switches: readonly NodeDef[];
  /** The edge that NextIteration takes. */
  readonly next: string;
}

interface Loop {
  readonly variables: readonly LoopVariable[];
  /** Enter nodes of values that no round changes. */
  readonly invariants: readonly NodeDef[];
  /** The edge that LoopCond takes. */
  readonly condition: string;
}

/** Replaces the loops of `graph`, inner ones first. One without the known form stays as it is. */
export function liftLoops(graph: LiftedGraph): void {
  const { nodes } = graph;
  const consumers = consumersOf(nodes);
  const frames = Map.groupBy(
    [...nodes.values()].filter(({ op }) => ENTER_OPS.has(op)),
    (node) => new Attributes(node).string("frame_name", ""),
  );
  const loops = new Map<string, Loop>();
  for (const [name, enters] of frames) {
    const loop = readLoop(nodes, enters, consumers);
    if (loop) loops.set(name, loop);
  }
  // What is left of a round's loops holds another one each, or cannot be lifted.
  for (let before = -1; before !== loops.size;) {
    before = loops.size;
    for (const [name, loop] of loops) {
      if (reachesExit(graph, loop)) continue;
      replaceLoop(graph, name, loop, consumers);
      loops.delete(name);
    }
  }
}

type Consumers = ReadonlyMap<string, readonly NodeDef[]>;

function consumersOf(nodes: NodeIndex): Consumers {
  const consumers = new Map<string, NodeDef[]>();
  for (const node of nodes.values()) {
    for (const input of new Set(
      node.input.filter((each) => !isControl(each)).map((each) => parseGraphEdge(each).node),
    )) {
      const known = consumers.get(input);
      if (known) known.push(node);
      else consumers.set(input, [node]);
    }
  }
  return consumers;
}

function readLoop(nodes: NodeIndex, enters: readonly NodeDef[], consumers: Consumers): Loop | undefined {
  const variables: LoopVariable[] = [];
  const invariants: NodeDef[] = [];
  for (const enter of enters) {
    const merge = consumers.get(enter.name)?.find(({ op }) => MERGE_OPS.has(op));
    if (!merge) {
      invariants.push(enter);
      continue;
    }
    const back = merge.input
      .map((input) => nodes.get(parseGraphEdge(input).node))
      .find((node) => node && NEXT_OPS.has(node.op));
    const next = back?.input[0];
    if (next === undefined) return undefined;
    const isOfMerge = ({ op, input }: NodeDef): boolean =>
      SWITCH_OPS.has(op) && parseGraphEdge(input[0] ?? "").node === merge.name;
    variables.push({ enter, merge, next, switches: (consumers.get(merge.name) ?? []).filter(isOfMerge) });
  }
  const [first] = variables.flatMap(({ switches }) => switches);
  const loopCond = first && nodes.get(parseGraphEdge(first.input[1] ?? "").node);
  const condition = loopCond?.op === "LoopCond" ? loopCond.input[0] : undefined;
  return condition === undefined ? undefined : { variables, invariants, condition };
}

/** Whether the loop's rounds need what another loop leaves with: that one has to be lifted first. */
function reachesExit(graph: LiftedGraph, { variables, invariants, condition }: Loop): boolean {
  const seen = new Set([...invariants.map(({ name }) => name), ...variables.map(({ merge }) => merge.name)]);
  const waiting = [condition, ...variables.map(({ next }) => next)].map((edge) => parseGraphEdge(edge).node);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = seen.has(name) ? undefined : graph.nodes.get(name);
    seen.add(name);
    if (!node) continue;
    graph.countVisit();
    if (EXIT_OPS.has(node.op)) return true;
    for (const input of node.input) waiting.push(parseGraphEdge(input).node);
  }
  return false;
}

function replaceLoop(graph: LiftedGraph, frame: string, loop: Loop, consumers: Consumers): void {
  const { nodes } = graph;
  const { variables, invariants } = loop;
  const name = graph.freshName(`${frame}/While`);
  const args = [
    ...variables.map((_, index) => `${name}/variable_${index}`),
    ...invariants.map((_, index) => `${name}/invariant_${index}`),
  ];
  const known = new Map<string, string>();
  for (const [index, { merge, switches }] of variables.entries()) {
    const argument = args[index] as string;
    known.set(`${merge.name}:0`, argument);
    for (const each of switches) known.set(`${each.name}:1`, argument);
  }
  for (const [index, enter] of invariants.entries())
    known.set(`${enter.name}:0`, args[variables.length + index] as string);
  const structure = new Set([
    ...variables.flatMap(({ merge, switches }) => [merge.name, ...switches.map((each) => each.name)]),
    ...invariants.map((each) => each.name),
  ]);
  const argumentOf = (edge: Edge): string | undefined => known.get(edgeText(edge));
  const isInside = (node: string): boolean =>
    nodes.has(node) && !structure.has(node) && nodes.get(node)?.op !== "LoopCond";
  const returned = [...variables.map(({ next }) => next), ...invariants.map((enter) => `${enter.name}:0`)];
  const cut = (suffix: string, returns: readonly string[]): string =>
    graph.addFunction(`${name}/${suffix}`, args, cutBody(nodes, { returns, argumentOf, isInside }));
  const cond = cut("cond", [loop.condition]);
  const body = cut("body", returned);
  const enters = [...variables.map(({ enter }) => enter), ...invariants];
  const controls = new Set(enters.flatMap(({ input }) => input.filter(isControl)));
  const operands = enters.map(({ input }) => input[0] ?? "");
  const attributes = { cond: functionAttribute(cond), body: functionAttribute(body) };
  nodes.set(name, newNode(name, "While", [...operands, ...controls], attributes));
  for (const [index, { switches }] of variables.entries()) {
    for (const exit of switches
      .flatMap((each) => consumers.get(each.name) ?? [])
      .filter(({ op }) => EXIT_OPS.has(op))) {
      nodes.set(exit.name, newNode(exit.name, "Identity", [`${name}:${index}`]));
    }
  }
  for (const each of structure) nodes.delete(each);
  for (const { enter } of variables) nodes.delete(enter.name);
}
