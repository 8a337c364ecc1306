import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { DType } from "@cloister/encoding/tensor";
import { SavedModelError } from "../error.ts";
import { Attributes } from "../graph/attributes.ts";
import { type Graph, parseGraphEdge } from "../graph/graph.ts";
import { CALL_OPS, type Variables, variableKey } from "../graph/restore.ts";
import { type Outputs, type Scope, Tracer } from "../graph/tracer.ts";
import type { OnnxGraph } from "../onnx/model.ts";
import { Emitter, Unlowerable } from "./emitter.ts";
import { Op } from "./op.ts";
import { LOWERINGS, PASS_THROUGH } from "./table.ts";
import type { Shape, TensorValue, Value } from "./value.ts";

/** A tensor that requests give. */
export interface Feed {
  /** Its name in the ONNX graph. */
  readonly name: string;
  /** Any tensor of the graph (`x:0`), not only a placeholder's. */
  readonly tensor: string;
  readonly dtype: DType;
  /** What may be relied on; -1 and `undefined` leave sizes and rank open. */
  readonly shape: Shape;
}

/** An op that cannot be lowered. */
export interface MissingOp {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

/** A signature in ONNX's operators. */
export interface LoweredSignature {
  readonly graph: Omit<OnnxGraph, "outputs">;
  /** Where each fetched tensor is, by its name in the graph (`y:0`). */
  readonly fetches: ReadonlyMap<string, { readonly name: string; readonly dtype: DType; readonly shape: Shape }>;
  /** What stand-in nodes (`MISSING_OP`) stand for, by the name of their output. Pruning shows which of them matter. */
  readonly missing: ReadonlyMap<string, MissingOp>;
}

/** The op of the node that stands for one that cannot be lowered, or depends on such a one. */
export const MISSING_OP = "?";

/**
 * Traces a graph backwards from the fetched tensors to the fed ones and lowers what lies between. Ops that cannot be lowered
 * do not stop it: they become stand-ins, so that all of them are found at once, and only those count that an output needs.
 *
 * @throws SavedModelError where the graph itself is broken
 */
export function lowerSignature(
  graph: Graph,
  variables: Variables,
  feeds: readonly Feed[],
  fetches: readonly string[],
): LoweredSignature {
  return new LoweringTracer(graph, variables).run(feeds, fetches);
}

class LoweringTracer extends Tracer<Value> {
  readonly #emit = new Emitter();
  readonly #variables: Variables;
  readonly #missing = new Map<string, MissingOp>();
  readonly #constants = new Map<string | NodeDef, TensorValue>();

  constructor(graph: Graph, variables: Variables) {
    super(graph, { followControl: false });
    this.#variables = variables;
  }

  run(feeds: readonly Feed[], fetches: readonly string[]): LoweredSignature {
    const fed = new Map<string, Value>();
    for (const { name, tensor, dtype, shape } of feeds) {
      this.#emit.inputs.push({ name, dtype, shape });
      const { node, output } = parseGraphEdge(tensor);
      const isString = dtype === "string";
      const value: Value = isString
        ? this.#standIn({ op: "Placeholder", node: tensor, reason: "string tensors are not supported yet" }, [])
        : { kind: "tensor", dtype, shape, plain: name };
      fed.set(`${node}:${output}`, value);
    }
    const scope = this.topScope(fed);
    const results = fetches.map((fetch) => [fetch, this.#fetched(this.valueOf(scope, fetch), fetch)] as const);
    return { graph: this.#emit, fetches: new Map(results), missing: this.#missing };
  }

  /** Every output is a node of its own: an ONNX graph may not return an input or an initializer. */
  #fetched(value: Value, fetch: string): { name: string; dtype: DType; shape: Shape } {
    const tensor = this.#asTensor(value);
    if (tensor.kind === "tensor" && tensor.dtype !== "string") {
      const [name] = this.#emit.node("Identity", [this.#emit.plain(tensor)]);
      return { name, dtype: tensor.dtype, shape: tensor.shape };
    }
    const reason = "string tensors are not supported yet";
    const standIn = tensor.kind === "missing" ? tensor : this.#standIn({ op: "Const", node: fetch, reason }, []);
    return { name: standIn.name, dtype: "string", shape: undefined };
  }

  protected override visit(node: NodeDef, inputs: readonly Value[], scope: Scope<Value>): Outputs<Value> {
    try {
      return this.#lower(node, inputs, scope);
    } catch (error) {
      const isLocal = error instanceof SavedModelError && error.code === "TENSOR_MALFORMED";
      if (!isLocal && !(error instanceof Unlowerable)) throw error;
      const standIn = this.#standIn({ op: node.op, node: node.name, reason: error.message }, inputs);
      return () => standIn;
    }
  }

  #lower(node: NodeDef, inputs: readonly Value[], scope: Scope<Value>): Outputs<Value> {
    const attributes = new Attributes(node);
    if (CALL_OPS.has(node.op)) return this.returned(this.openCall(attributes.functionName("f"), inputs, scope));
    if (PASS_THROUGH.has(node.op)) return (index) => inputs[index];
    switch (node.op) {
      case "Const":
        return this.#only(this.#constant(node, () => this.#emit.constant(attributes.tensor("value"))));
      case "VarHandleOp":
        return this.#only({ kind: "variable", key: variableKey(node) });
      case "VariableV2":
      case "Variable":
        return this.#only(this.#variable(variableKey(node)));
      case "ReadVariableOp":
        return (index) => (index === 0 && inputs[0] ? this.#asTensor(inputs[0]) : undefined);
      case "NoOp":
      case "Assert":
        return () => undefined;
      default:
        return this.#lowerOp(node, attributes, inputs);
    }
  }

  #lowerOp(node: NodeDef, attributes: Attributes, inputs: readonly Value[]): Outputs<Value> {
    const isGather = node.op === "ResourceGather";
    const lowering = LOWERINGS.get(isGather ? "Gather" : node.op);
    if (!lowering) throw new Unlowerable(node.op === "Placeholder" ? "it is not fed" : "the op is not supported");
    const tensors = inputs.map((value) => this.#asTensor(value));
    // Nothing is known about an operand that is missing: the result is missing too, but it is not this op's fault.
    if (!tensors.every((value) => value.kind === "tensor")) {
      const standIn = this.#standIn(undefined, inputs);
      return () => standIn;
    }
    const result = lowering(new Op(node, attributes, tensors, this.#emit));
    const outputs = (Array.isArray(result) ? result : [result]) as readonly TensorValue[];
    return (index) => outputs[index];
  }

  #only(value: Value): Outputs<Value> {
    return (index) => (index === 0 ? value : undefined);
  }

  /** The same constant is one value, however often its function is called. */
  #constant(key: string | NodeDef, make: () => TensorValue): TensorValue {
    const value = this.#constants.get(key) ?? make();
    this.#constants.set(key, value);
    return value;
  }

  /** A tensor, reading the variable where the value is a handle. */
  #asTensor(value: Value): Exclude<Value, { kind: "variable" }> {
    return value.kind === "variable" ? this.#variable(value.key) : value;
  }

  /** No served path that can run assigns variables, so that they are constants. */
  #variable(key: string): Exclude<Value, { kind: "variable" }> {
    const tensor = this.#variables.get(key);
    if (tensor) return this.#constant(key, () => this.#emit.constant(tensor));
    return this.#standIn({ op: "ReadVariableOp", node: key, reason: "the checkpoint does not restore it" }, []);
  }

  #standIn(missing: MissingOp | undefined, inputs: readonly Value[]): { kind: "missing"; name: string } {
    const operands = inputs.flatMap((value) => {
      if (value.kind === "missing") return [value.name];
      // Whatever else the op takes is needed too: it may be missing in its turn.
      return value.kind === "tensor" ? [value.plain, value.channelsFirst].filter((name) => name !== undefined) : [];
    });
    const [name] = this.#emit.node(MISSING_OP, operands);
    if (missing) this.#missing.set(name, missing);
    return { kind: "missing", name };
  }
}
