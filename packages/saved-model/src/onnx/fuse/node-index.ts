import type { MixedGraph, OnnxAttribute, OnnxInitializer, OnnxNode } from "../model.ts";

/** What takes the place of a node. */
export interface Fused {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxInitializer>;
}

/** Who makes each value of a graph, and which values are constants. Host calls are no part of any pattern. */
export class NodeIndex {
  readonly #makers = new Map<string, OnnxNode>();
  readonly #initializers: ReadonlyMap<string, OnnxInitializer>;

  constructor({ nodes, initializers }: MixedGraph) {
    this.#initializers = initializers;
    for (const node of nodes) {
      if (!("host" in node) && node.outputs.length === 1) this.#makers.set(node.outputs[0] ?? "", node);
    }
  }

  /** The node that makes the value, if it is an `op`. */
  maker(name: string | undefined, op: string): OnnxNode | undefined {
    const node = name === undefined ? undefined : this.#makers.get(name);
    return node?.op === op && node.domain === undefined ? node : undefined;
  }

  constant(name: string | undefined): OnnxInitializer | undefined {
    return name === undefined ? undefined : this.#initializers.get(name);
  }

  /** The value of a constant that is a single float. */
  scalar(name: string | undefined): number | undefined {
    const constant = this.constant(name);
    if (constant?.dtype !== "float" || constant.shape.some((size) => size !== 1)) return undefined;
    return constant.make().data[0] as number;
  }

  /** Whether the value is that constant, to the precision of single floats. */
  isScalar(name: string | undefined, value: number): boolean {
    return this.scalar(name) === Math.fround(value);
  }
}

/** Both orders of the operands of a commutative node. */
export function bothOrders({ inputs }: OnnxNode): readonly (readonly [string, string])[] {
  const [a = "", b = ""] = inputs;
  return [
    [a, b],
    [b, a],
  ];
}

/** The one axis of a reduction that keeps its rank. */
export function keptAxis({ attributes }: OnnxNode): number | undefined {
  const axes: OnnxAttribute | undefined = attributes["axes"];
  if (!Array.isArray(axes) || axes.length !== 1 || attributes["keepdims"] === 0) return undefined;
  return axes[0] as number;
}
