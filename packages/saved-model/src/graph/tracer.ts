import type { FunctionDef } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import { fault } from "../error.ts";
import {
  type Edge,
  type Graph,
  indexNodes,
  isControl,
  type NodeIndex,
  parseBodyEdge,
  parseGraphEdge,
} from "./graph.ts";

/** Calls nest at most this deep. */
const MAX_CALL_DEPTH = 64;
/** Nodes visited in one trace, all inlined bodies counted: functions that call each other twice would double for ever. */
const MAX_VISITS = 500_000;

/** Bounds the work of tracers that work on one graph together. */
export class Budget {
  #visits = 0;

  /** @throws SavedModelError LIMIT_EXCEEDED */
  countVisit(): void {
    if (++this.#visits <= MAX_VISITS) return;
    throw fault(
      "LIMIT_EXCEEDED",
      "the graph is too large",
      `its functions expand to more than ${MAX_VISITS} nodes`,
      "simplify the model",
    );
  }
}

/** Values of a node's outputs. */
export type Outputs<V> = (index: number) => V | undefined;

/** A graph or one call of a function body: what its names stand for, and what has been evaluated. */
export interface Scope<V> {
  readonly nodes: NodeIndex;
  readonly parse: (input: string) => Edge;
  /** Tensors given from outside, by `name:index`. */
  readonly fed: ReadonlyMap<string, V>;
  readonly done: Map<string, Outputs<V>>;
  /** Functions that are being called, outermost first. */
  readonly trail: readonly string[];
}

/**
 * Evaluates a graph symbolically: inputs before nodes, each node once, without recursion over the graph's depth. What a node
 * means is up to `visit`.
 */
export abstract class Tracer<V> {
  protected readonly graph: Graph;
  readonly #followControl: boolean;
  readonly #bodies = new Map<string, NodeIndex>();
  protected readonly budget: Budget;

  protected constructor(graph: Graph, options: { followControl: boolean; budget: Budget }) {
    this.graph = graph;
    this.budget = options.budget;
    this.#followControl = options.followControl;
  }

  /** Nodes whose inputs are not followed; they are visited without any. */
  protected isOpaque(_node: NodeDef): boolean {
    return false;
  }

  /** The outputs of `node`; `inputs` are its data inputs in order. */
  protected abstract visit(node: NodeDef, inputs: readonly V[], scope: Scope<V>): Outputs<V>;

  /** The top scope, with tensors given by name (`x:0`). */
  protected topScope(fed: ReadonlyMap<string, V>): Scope<V> {
    return { nodes: this.graph.nodes, parse: parseGraphEdge, fed, done: new Map(), trail: [] };
  }

  /** The value of an edge; evaluates what it needs. */
  protected valueOf(scope: Scope<V>, input: string): V {
    const edge = scope.parse(input);
    const fed = scope.fed.get(edgeKey(edge));
    if (fed !== undefined) return fed;
    this.evaluate(scope, edge.node);
    const value = scope.done.get(edge.node)?.(edge.output);
    if (value !== undefined) return value;
    throw fault(
      "GRAPH_MALFORMED",
      `the tensor ${input} does not exist`,
      "its node has fewer outputs",
      "export the model again",
    );
  }

  /** Evaluates a node and all it depends on. @throws SavedModelError NODE_NOT_FOUND, GRAPH_CYCLE, LIMIT_EXCEEDED */
  protected evaluate(scope: Scope<V>, name: string): void {
    const active = new Set<string>();
    const stack = [name];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (scope.done.has(top)) {
        stack.pop();
        continue;
      }
      const node = scope.nodes.get(top);
      if (!node)
        throw fault("NODE_NOT_FOUND", `the node ${top} does not exist`, "another node refers to it", "check the name");
      const missing = this.#missing(scope, node);
      if (missing.length === 0) {
        stack.pop();
        active.delete(top);
        scope.done.set(top, this.#visitNode(scope, node));
        continue;
      }
      if (active.has(top))
        throw fault(
          "GRAPH_CYCLE",
          `the node ${top} depends on itself`,
          "it is no loop that TensorFlow writes",
          "export the model again",
        );
      active.add(top);
      stack.push(...missing);
    }
  }

  #missing(scope: Scope<V>, node: NodeDef): string[] {
    if (this.isOpaque(node)) return [];
    const inputs = this.#followControl ? node.input : node.input.filter((input) => !isControl(input));
    return inputs
      .map((input) => ({ control: isControl(input), edge: scope.parse(input) }))
      .filter(({ control, edge }) => !scope.done.has(edge.node) && (control || !scope.fed.has(edgeKey(edge))))
      .filter(({ control, edge }) => !control || scope.nodes.has(edge.node))
      .map(({ edge }) => edge.node);
  }

  #visitNode(scope: Scope<V>, node: NodeDef): Outputs<V> {
    this.budget.countVisit();
    const followed = this.isOpaque(node) ? [] : node.input;
    const inputs = followed.filter((input) => !isControl(input)).map((input) => this.valueOf(scope, input));
    return this.visit(node, inputs, scope);
  }

  /**
   * Opens a call of the function `name`.
   *
   * @throws SavedModelError FUNCTION_MISSING, FUNCTION_CYCLE, LIMIT_EXCEEDED
   */
  protected openCall(name: string, args: readonly V[], caller: Scope<V>): { body: FunctionDef; scope: Scope<V> } {
    const body = this.graph.functions.get(name);
    if (!body)
      throw fault(
        "FUNCTION_MISSING",
        `the function ${name} is missing`,
        "the graph calls it",
        "export the model again",
      );
    if (caller.trail.includes(name)) {
      throw fault(
        "FUNCTION_CYCLE",
        `the function ${name} calls itself`,
        "recursion cannot be inlined",
        "export the model without recursion",
      );
    }
    if (caller.trail.length >= MAX_CALL_DEPTH) {
      throw fault(
        "LIMIT_EXCEEDED",
        "functions call each other too deeply",
        `more than ${MAX_CALL_DEPTH} levels`,
        "simplify the model",
      );
    }
    const nodes = this.#bodies.get(name) ?? indexNodes(body.nodeDef);
    this.#bodies.set(name, nodes);
    const fed = new Map<string, V>();
    body.signature?.inputArg.forEach((argument, index) => {
      const value = args[index];
      if (value !== undefined) fed.set(`${argument.name}:0`, value);
    });
    const parse = (input: string): Edge => parseBodyEdge(input, nodes);
    return { body, scope: { nodes, parse, fed, done: new Map(), trail: [...caller.trail, name] } };
  }

  /** The values a function returns, in order, each evaluated when it is asked for. */
  protected returned({ body, scope }: { body: FunctionDef; scope: Scope<V> }): Outputs<V> {
    const args = body.signature?.outputArg ?? [];
    return (index) => {
      const argument = args[index];
      const edge = argument && Object.hasOwn(body.ret, argument.name) ? body.ret[argument.name] : undefined;
      return edge === undefined ? undefined : this.valueOf(scope, edge);
    };
  }
}

function edgeKey({ node, output }: Edge): string {
  return `${node}:${output}`;
}
