import { create } from "@bufbuild/protobuf";
import { type FunctionDef, FunctionDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import { type NodeDef, NodeDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { type Edge, isControl, type NodeIndex, parseGraphEdge } from "./graph.ts";

/** What is cut out of a graph. */
export interface Cut {
  /** Edges that the function returns, in order. */
  readonly returns: readonly string[];
  /** The argument that stands for an edge, or `undefined` for an edge from within. */
  readonly argumentOf: (edge: Edge) => string | undefined;
  /** Whether a node that others only wait for belongs to the function. */
  readonly isInside: (name: string) => boolean;
}

/** Nodes of a function's body and the edges that it returns. */
export interface Body {
  readonly nodes: readonly NodeDef[];
  readonly returns: readonly string[];
}

/** The text of an edge that counts a node's outputs; both graphs and function bodies take it. */
export function edgeText({ node, output }: Edge): string {
  return `${node}:${output}`;
}

/** A node of a rewritten graph. */
export function newNode(name: string, op: string, input: readonly string[], attr: NodeDef["attr"] = {}): NodeDef {
  return create(NodeDefSchema, { name, op, input: [...input], attr });
}

/** An attribute that names a function. */
export function functionAttribute(name: string): NodeDef["attr"][string] {
  return {
    $typeName: "tensorflow.AttrValue",
    value: { case: "func", value: { $typeName: "tensorflow.NameAttrList", name, attr: {} } },
  };
}

/** Copies the nodes that compute some edges into a function's body. The edges of `nodes` are written as `edgeText` does. */
export function cutBody(nodes: NodeIndex, { returns, argumentOf, isInside }: Cut): Body {
  const moved = new Map<string, NodeDef>();
  const waiting: string[] = [];
  const place = (input: string): string => {
    const edge = parseGraphEdge(input);
    const argument = argumentOf(edge);
    if (argument !== undefined) return `${argument}:0`;
    waiting.push(edge.node);
    return edgeText(edge);
  };
  const placed = returns.map(place);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const node = moved.has(next) ? undefined : nodes.get(next);
    if (!node) continue;
    const controls = node.input.filter((input) => isControl(input) && isInside(input.slice(1)));
    for (const input of controls) waiting.push(input.slice(1));
    const input = node.input.filter((each) => !isControl(each)).map(place);
    moved.set(next, create(NodeDefSchema, { ...node, input: [...input, ...controls] }));
  }
  return { nodes: [...moved.values()], returns: placed };
}

export function functionOf(name: string, args: readonly string[], { nodes, returns }: Body): FunctionDef {
  const results = returns.map((edge, index) => [`output_${index}`, edge] as const);
  return create(FunctionDefSchema, {
    signature: {
      name,
      inputArg: args.map((each) => ({ name: each })),
      outputArg: results.map(([each]) => ({ name: each })),
    },
    nodeDef: [...nodes],
    ret: Object.fromEntries(results),
  });
}
