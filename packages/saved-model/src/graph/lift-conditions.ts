// Conditions of TensorFlow 1: Switch sends a value into one of two branches, Merge takes the one that arrives. All Merge nodes of
// one condition become one If node with two functions, as TensorFlow 2 writes conditions.

import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { type Body, cutBody, edgeText, functionAttribute, newNode } from "./cut.ts";
import { type Edge, isControl, type NodeIndex, parseGraphEdge } from "./graph.ts";
import { type LiftedGraph, MERGE_OPS, SWITCH_OPS } from "./lifted-graph.ts";

/** In which branches a node runs: for each predicate (its edge), the output of the Switch that leads there. */
type Branches = ReadonlyMap<string, number>;

const EVERYWHERE: Branches = new Map();

/** Merge nodes that one If node replaces. */
interface Condition {
  readonly predicate: string;
  readonly outside: Branches;
  /** Conditions of one level do not need each other. */
  readonly level: number;
  readonly merges: { readonly node: NodeDef; readonly sides: readonly [number, number] }[];
}

/** Replaces the conditions of `graph`, which has no loops any more. One without the known form stays as it is. */
export function liftConditions(graph: LiftedGraph): void {
  const where = new BranchIndex(graph);
  // Inner conditions are on lower levels.
  for (const condition of where.conditions.toSorted((a, b) => a.level - b.level))
    replaceCondition(graph, condition, where);
}

class BranchIndex {
  readonly #nodes: NodeIndex;
  readonly #branches = new Map<string, Branches>();
  readonly #levels = new Map<string, number>();
  readonly #conditions = new Map<string, Condition>();
  readonly #predicates = new Map<string, string>();

  constructor(graph: LiftedGraph) {
    this.#nodes = graph.nodes;
    for (const node of inOrder(graph)) this.#add(node);
  }

  get conditions(): Condition[] {
    return [...this.#conditions.values()];
  }

  of(name: string): Branches {
    return this.#branches.get(name) ?? EVERYWHERE;
  }

  set(name: string, branches: Branches): void {
    this.#branches.set(name, branches);
  }

  /** The edge that decides a Switch; graphs hand it on through Identity nodes. */
  predicateOf(node: NodeDef): string {
    const known = this.#predicates.get(node.name);
    if (known !== undefined) return known;
    let edge = parseGraphEdge(node.input[1] ?? "");
    for (let steps = 0; steps < 1000; steps++) {
      const producer = this.#nodes.get(edge.node);
      if (producer?.op !== "Identity") break;
      edge = parseGraphEdge(producer.input[0] ?? "");
    }
    this.#predicates.set(node.name, edgeText(edge));
    return edgeText(edge);
  }

  #ofEdge(edge: Edge): Branches {
    const node = this.#nodes.get(edge.node);
    const own = this.of(edge.node);
    return node && SWITCH_OPS.has(node.op) ? new Map(own).set(this.predicateOf(node), edge.output) : own;
  }

  #add(node: NodeDef): void {
    const edges = node.input.map((input) => parseGraphEdge(input));
    const level = Math.max(0, ...edges.map((edge) => this.#levels.get(edge.node) ?? 0));
    const sides = edges.filter((_, index) => !isControl(node.input[index] ?? "")).map((edge) => this.#ofEdge(edge));
    const split = MERGE_OPS.has(node.op) ? splitOf(sides) : undefined;
    this.#levels.set(node.name, split ? level + 1 : level);
    if (!split) {
      this.#branches.set(node.name, union([...sides, ...edges.map(({ node: each }) => this.of(each))]));
      return;
    }
    this.#branches.set(node.name, split.outside);
    const key = JSON.stringify([
      split.predicate,
      level,
      ...[...split.outside].map(([predicate, side]) => `${side}:${predicate}`).toSorted(),
    ]);
    const condition = this.#conditions.get(key) ?? {
      predicate: split.predicate,
      outside: split.outside,
      level,
      merges: [],
    };
    condition.merges.push({ node, sides: split.sides });
    this.#conditions.set(key, condition);
  }
}

function union(all: readonly Branches[]): Branches {
  let result = EVERYWHERE;
  for (const branches of all) {
    if (branches.size === 0 || branches === result) continue;
    result = result.size === 0 ? branches : new Map([...result, ...branches]);
  }
  return result;
}

/** The predicate by which the two operands of a Merge differ, and what they have in common. */
function splitOf([a, b, ...others]: readonly Branches[]):
  (Pick<Condition, "predicate" | "outside"> & { sides: [number, number] }) | undefined {
  if (!a || !b || others.length > 0) return undefined;
  const predicates = [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key));
  // An operand that comes from outside of the branches (a constant) says nothing: it belongs to the side that is left.
  const predicate = predicates.find((key) => a.has(key) && b.has(key)) ?? predicates.at(-1);
  if (predicate === undefined) return undefined;
  const first = a.get(predicate) ?? 1 - (b.get(predicate) ?? 0);
  const outside = new Map([...a].filter(([key, side]) => key !== predicate && b.get(key) === side));
  return { predicate, outside, sides: [first, 1 - first] };
}

/** All nodes, each after those that it needs. */
function* inOrder(graph: LiftedGraph): Generator<NodeDef> {
  const state = new Map<string, "open" | "done">();
  for (const start of graph.nodes.keys()) {
    const stack = [start];
    for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
      const node = graph.nodes.get(name);
      if (!node || state.get(name) === "done") {
        stack.pop();
        continue;
      }
      graph.countVisit();
      if (state.has(name)) {
        stack.pop();
        state.set(name, "done");
        yield node;
        continue;
      }
      state.set(name, "open");
      for (const input of node.input) {
        const { node: needed } = parseGraphEdge(input);
        if (!state.has(needed)) stack.push(needed);
      }
    }
  }
}

function replaceCondition(graph: LiftedGraph, { predicate, outside, merges }: Condition, where: BranchIndex): void {
  const { nodes } = graph;
  const name = graph.freshName(`${merges[0]?.node.name ?? ""}/If`);
  const args = new Map<string, string>();
  const capture = (edge: Edge): string => {
    const key = edgeText(edge);
    const known = args.get(key) ?? `${name}/argument_${args.size}`;
    args.set(key, known);
    return known;
  };
  const cut = (side: 0 | 1): Body => {
    const isInside = (each: string): boolean => nodes.has(each) && where.of(each).get(predicate) === side;
    const argumentOf = (edge: Edge): string | undefined => {
      const node = nodes.get(edge.node);
      const isEntry = node !== undefined && SWITCH_OPS.has(node.op) && where.predicateOf(node) === predicate;
      if (isEntry) return capture(parseGraphEdge(node.input[0] ?? ""));
      return isInside(edge.node) ? undefined : capture(edge);
    };
    const operandOf = ({ node, sides }: Condition["merges"][number]): string =>
      node.input.filter((each) => !isControl(each))[sides[0] === side ? 0 : 1] ?? "";
    return cutBody(nodes, { returns: merges.map(operandOf), argumentOf, isInside });
  };
  const bodies = [cut(0), cut(1)] as const;
  // Both branches take what any of them does.
  const names = [...args.values()];
  const otherwise = graph.addFunction(`${name}/else`, names, bodies[0]);
  const then = graph.addFunction(`${name}/then`, names, bodies[1]);
  const attributes = { then_branch: functionAttribute(then), else_branch: functionAttribute(otherwise) };
  nodes.set(name, newNode(name, "If", [predicate, ...args.keys()], attributes));
  where.set(name, outside);
  for (const [index, { node, sides }] of merges.entries()) {
    const arrived = arrivedOperand(predicate, sides[0], graph.freshName(`${node.name}/arrived`));
    for (const each of arrived) {
      nodes.set(each.name, each);
      where.set(each.name, outside);
    }
    const which = edgeText({ node: arrived.at(-1)?.name ?? "", output: 0 });
    nodes.set(node.name, newNode(node.name, "IdentityN", [`${name}:${index}`, which]));
  }
}

/** Nodes of which the last gives a Merge's second output: the number of the operand that arrived. */
function arrivedOperand(predicate: string, firstSide: number, name: string): NodeDef[] {
  const toInt32: NodeDef["attr"] = {
    DstT: { $typeName: "tensorflow.AttrValue", value: { case: "type", value: DataType.DT_INT32 } },
  };
  if (firstSide === 0) return [newNode(name, "Cast", [predicate], toInt32)];
  const other = `${name}/other_side`;
  return [newNode(other, "LogicalNot", [predicate]), newNode(name, "Cast", [`${other}:0`], toInt32)];
}
