// TensorFlow 1 writes loops and conditions as nodes (Enter, Exit, Switch, Merge, ...); graphs of TensorFlow 2 that were frozen
// with "lowered" control flow have them as well. Here they become While and If with functions, so that all that follows knows
// one form only.

import { create } from "@bufbuild/protobuf";
import { type FunctionDef, FunctionDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import { type NodeDef, NodeDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { fault } from "../error.ts";
import { type Body, edgeText, functionOf } from "./cut.ts";
import { type Edge, type Graph, indexNodes, isControl, parseBodyEdge, parseGraphEdge } from "./graph.ts";
import { liftConditions } from "./lift-conditions.ts";
import { liftLoops } from "./lift-loops.ts";
import { type LiftedGraph, MERGE_OPS } from "./lifted-graph.ts";

/** Steps over nodes: loops in loops are walked through once for each level. */
const MAX_VISITS = 20_000_000;

/** `graph` with its loops and conditions as While and If, as far as they have the form that TensorFlow writes. */
export function liftControlFlow(graph: Graph): Graph {
  return new Lifter(graph).run();
}

class Lifter {
  readonly #graph: Graph;
  readonly #functions: Map<string, FunctionDef>;
  #visits = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#functions = new Map(graph.functions);
  }

  run(): Graph {
    for (const body of this.#graph.functions.values()) this.#liftFunction(body);
    const { nodes } = this.#graph;
    const lifted = hasMerge(nodes.values()) ? this.#lift([...nodes.values()], parseGraphEdge) : nodes;
    return { nodes: lifted, functions: this.#functions };
  }

  #liftFunction(body: FunctionDef): void {
    if (!hasMerge(body.nodeDef)) return;
    const nodes = indexNodes(body.nodeDef);
    const parse = (input: string): Edge => parseBodyEdge(input, nodes);
    const ret = Object.entries(body.ret).map(([name, edge]) => [name, edgeText(parse(edge))] as const);
    const nodeDef = [...this.#lift(body.nodeDef, parse).values()];
    const lifted = create(FunctionDefSchema, { ...body, nodeDef, ret: Object.fromEntries(ret) });
    this.#functions.set(body.signature?.name ?? "", lifted);
  }

  #lift(nodes: readonly NodeDef[], parse: (input: string) => Edge): Map<string, NodeDef> {
    const edge = (input: string): string => (isControl(input) ? input : edgeText(parse(input)));
    const written = nodes.map((node) => create(NodeDefSchema, { ...node, input: node.input.map(edge) }));
    const graph: LiftedGraph = {
      nodes: new Map(written.map((node) => [node.name, node])),
      freshName: (hint) => fresh(hint, (name) => graph.nodes.has(name)),
      addFunction: (hint, args, body) => this.#addFunction(hint, args, body),
      countVisit: () => this.#countVisit(),
    };
    liftLoops(graph);
    liftConditions(graph);
    return graph.nodes;
  }

  #addFunction(hint: string, args: readonly string[], body: Body): string {
    const name = fresh(hint, (each) => this.#functions.has(each));
    const added = functionOf(name, args, body);
    this.#functions.set(name, added);
    // The body of a loop may hold conditions.
    this.#liftFunction(added);
    return name;
  }

  #countVisit(): void {
    if (++this.#visits <= MAX_VISITS) return;
    throw fault(
      "LIMIT_EXCEEDED",
      "the graph's control flow is too large",
      "its loops and conditions nest too often",
      "simplify the model",
    );
  }
}

function hasMerge(nodes: Iterable<NodeDef>): boolean {
  for (const { op } of nodes) if (MERGE_OPS.has(op)) return true;
  return false;
}

function fresh(hint: string, isTaken: (name: string) => boolean): string {
  let name = hint;
  for (let count = 1; isTaken(name); count++) name = `${hint}_${count}`;
  return name;
}
