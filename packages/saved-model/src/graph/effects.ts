import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { type Graph, parseGraphEdge } from "./graph.ts";

/** Ops that change a variable or a table. `ScatterNd` and its non-aliasing forms work on tensors. */
const CHANGE =
  /^(?:Assign|InitializeTable|LookupTable(?:Import|Insert|Remove)|(?:Resource)?(?:SparseApply|Apply|CountUpTo|StridedSliceAssign)|ResourceScatter|Rng(?:ReadAnd)?Skip|Stateful(?:Uniform|StandardNormal|TruncatedNormal)|Scatter(?!Nd(?:$|NonAliasing)))/;

/** Which nodes change the model's state, by themselves or in a function that they call. */
export class EffectIndex {
  readonly #graph: Graph;
  readonly #functions = new Map<string, boolean>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  has({ op, attr }: NodeDef): boolean {
    if (CHANGE.test(op)) return true;
    return Object.values(attr).some(({ value }) => {
      if (value.case === "func") return this.#inFunction(value.value.name);
      return value.case === "list" && value.value.func.some(({ name }) => this.#inFunction(name));
    });
  }

  /** Whether anything that these tensors or nodes need has effects. */
  isReached(names: readonly string[]): boolean {
    const seen = new Set<string>();
    const stack = names.map((name) => parseGraphEdge(name).node);
    for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
      const node = seen.has(name) ? undefined : this.#graph.nodes.get(name);
      seen.add(name);
      if (!node) continue;
      if (this.has(node)) return true;
      for (const input of node.input) stack.push(parseGraphEdge(input).node);
    }
    return false;
  }

  #inFunction(name: string): boolean {
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    // While it is looked into, a function that calls itself counts as one without effects.
    this.#functions.set(name, false);
    const result = this.#graph.functions.get(name)?.nodeDef.some((node) => this.has(node)) ?? false;
    this.#functions.set(name, result);
    return result;
  }
}
