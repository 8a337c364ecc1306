import type { FunctionDef } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { SavedModelError } from "../error.ts";
import { Attributes } from "../graph/attributes.ts";
import { EffectIndex } from "../graph/effects.ts";
import { type Graph, parseGraphEdge } from "../graph/graph.ts";
import { CALL_OPS, type Variables, variableKey } from "../graph/restore.ts";
import { type Outputs, type Scope, Tracer } from "../graph/tracer.ts";
import type { MixedGraph } from "../onnx/model.ts";
import { type Body, BRANCH_OPS, LOOP_OPS, lowerBranch, lowerLoop } from "./control.ts";
import { Emitter, Unlowerable, unlowerable } from "./emitter.ts";
import { MISSING_OP } from "./missing-op.ts";
import { movedStrings } from "./moved-strings.ts";
import { Op } from "./op.ts";
import { readVariable, TABLE_OPS, VARIABLE_CHANGES } from "./state-ops.ts";
import { HOST_LOWERINGS, LOWERINGS, PASS_THROUGH } from "./table.ts";
import type { ListValue, Shape, TensorValue, Value, VariableValue } from "./value.ts";

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

/** A part of a graph in ONNX's operators and host calls. */
export interface Lowered {
  readonly graph: MixedGraph;
  /** Where each fetched tensor is, by its name in the graph (`y:0`). */
  readonly fetches: ReadonlyMap<string, { readonly name: string; readonly dtype: DType; readonly shape: Shape }>;
  /** What stand-in nodes (`MISSING_OP`) stand for, by the name of their output. Pruning shows which of them matter. */
  readonly missing: ReadonlyMap<string, MissingOp>;
  /** Outputs of calls that change the model's state: they are made whatever is fetched. */
  readonly effects: readonly string[];
  /** Keys of the variables that the graph assigns. */
  readonly assigned: ReadonlySet<string>;
  /** Types of the values that cross between ONNX and the host. */
  readonly types: ReadonlyMap<string, { readonly dtype: DType; readonly shape: Shape }>;
}

/** Ops that this file handles: nothing of them is left in the lowered graph. */
export const GRAPH_OPS = [
  ...CALL_OPS,
  "Assert",
  "Const",
  "NoOp",
  "Placeholder",
  "Print",
  "PrintV2",
  "ReadVariableOp",
  "VarHandleOp",
  "Variable",
  "VariableV2",
] as const;

/** What of a model a part of its graph is lowered against. */
export interface LoweringContext {
  readonly graph: Graph;
  readonly variables: Variables;
  /** Keys of the variables that change while the model runs; all others are constants. */
  readonly mutable: ReadonlySet<string>;
}

/** What is lowered. */
export interface LoweringTask {
  readonly feeds: readonly Feed[];
  /** Tensors with a known value, by name; the file names of assets are such. */
  readonly given: ReadonlyMap<string, Tensor>;
  /** Tensors to compute, by name. */
  readonly fetches: readonly string[];
  /** Nodes to run for their effects. */
  readonly targets: readonly string[];
}

export { MISSING_OP } from "./missing-op.ts";

/**
 * Traces a graph backwards from the fetched tensors to the fed ones and lowers what lies between. Ops that cannot be lowered
 * do not stop it: they become stand-ins, so that all of them are found at once, and only those count that an output needs.
 *
 * @throws SavedModelError where the graph itself is broken
 */
export function lower(context: LoweringContext, task: LoweringTask): Lowered {
  return new LoweringTracer(context).run(task);
}

class LoweringTracer extends Tracer<Value> {
  #emit = new Emitter();
  readonly #variables: Variables;
  readonly #mutable: ReadonlySet<string>;
  readonly #effects: EffectIndex;
  readonly #assigned = new Set<string>();
  readonly #missing = new Map<string, MissingOp>();
  readonly #constants = new Map<string | NodeDef, TensorValue>();

  constructor({ graph, variables, mutable }: LoweringContext) {
    super(graph, { followControl: true });
    this.#variables = variables;
    this.#mutable = mutable;
    this.#effects = new EffectIndex(graph);
  }

  run({ feeds, given, fetches, targets }: LoweringTask): Lowered {
    const fed = new Map<string, Value>();
    const key = (tensor: string): string => {
      const { node, output } = parseGraphEdge(tensor);
      return `${node}:${output}`;
    };
    for (const [tensor, value] of given) fed.set(key(tensor), this.#emit.constant(value));
    for (const { name, tensor, dtype, shape } of feeds) {
      this.#emit.inputs.push({ name, dtype, shape });
      fed.set(key(tensor), { kind: "tensor", dtype, shape, plain: name });
    }
    const scope = this.topScope(fed);
    for (const target of targets) this.evaluate(scope, scope.parse(target).node);
    const results = fetches.map((fetch) => [fetch, this.#fetched(this.valueOf(scope, fetch), fetch)] as const);
    const { effects, types } = this.#emit;
    const assigned = this.#assigned;
    return { graph: this.#emit, fetches: new Map(results), missing: this.#missing, effects, assigned, types };
  }

  /** An ONNX graph may not return an input or an initializer: such an output becomes a node of its own. */
  #fetched(value: Value, fetch: string): { name: string; dtype: DType; shape: Shape } {
    const tensor = this.#asTensor(value);
    if (tensor.kind === "tensor") {
      const name = this.#emit.plain(tensor);
      const isHeld = tensor.dtype === "string" || this.#emit.isHostResult(name);
      const own = isHeld ? name : this.#emit.node("Identity", [name])[0];
      return { name: own, dtype: tensor.dtype, shape: tensor.shape };
    }
    const reason = "it is no tensor";
    const standIn = tensor.kind === "missing" ? tensor : this.#standIn({ op: "Identity", node: fetch, reason }, []);
    return { name: standIn.name, dtype: "string", shape: undefined };
  }

  /** A loop of TensorFlow 1 that could not be lifted is a cycle of nodes; nothing of it is looked at. */
  protected override isOpaque({ op }: NodeDef): boolean {
    return op === "Exit" || op === "RefExit";
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
    if (CALL_OPS.has(node.op)) return this.#call(attributes.functionName("f"), inputs, scope);
    if (PASS_THROUGH.has(node.op)) return (index) => inputs[index] && this.#passed(inputs[index]);
    if (BRANCH_OPS.has(node.op) || LOOP_OPS.has(node.op)) return this.#control(node, attributes, inputs, scope);
    if (TABLE_OPS.has(node.op)) return this.#only({ kind: "table", key: variableKey(node) });
    switch (node.op) {
      case "Const":
        return this.#only(this.#constant(node, () => this.#emit.constant(attributes.tensor("value"))));
      case "VarHandleOp":
        return this.#only(variableOf(node, attributes, false));
      case "VariableV2":
      case "Variable":
        return this.#only(variableOf(node, attributes, true));
      case "ReadVariableOp":
        return this.#only(this.#asTensor(inputs[0] ?? unlowerable("operand 0 is missing")));
      case "NoOp":
      case "Assert":
      case "Print":
      case "PrintV2":
        return () => undefined;
      default:
        return this.#lowerOp(node, attributes, inputs);
    }
  }

  /** A call's assignments are made whether or not its results need them. */
  #call(name: string, inputs: readonly Value[], caller: Scope<Value>): Outputs<Value> {
    const call = this.openCall(name, inputs, caller);
    this.#runEffects(call);
    return this.returned(call);
  }

  #runEffects({ body, scope }: { body: FunctionDef; scope: Scope<Value> }): void {
    for (const node of body.nodeDef) if (this.#effects.has(node)) this.evaluate(scope, node.name);
  }

  /** TF1 graphs read a variable with Identity. */
  #passed(value: Value): Value {
    return value.kind === "variable" && value.isReference ? this.#asTensor(value) : value;
  }

  #lowerOp(node: NodeDef, attributes: Attributes, inputs: readonly Value[]): Outputs<Value> {
    const change = VARIABLE_CHANGES[node.op];
    const [handle] = inputs;
    if (change && handle?.kind === "variable") {
      this.#assigned.add(handle.key);
      const operands = inputs.slice(1).map((value) => this.#asTensor(value));
      if (!operands.every((value) => value.kind === "tensor")) return this.#missingEffect(inputs);
      change(new Op(node, attributes, operands, this.#emit, handle.key));
      return this.#only(handle);
    }
    const resource = handle?.kind === "table" ? handle.key : undefined;
    const operands = (resource === undefined ? inputs : inputs.slice(1)).map((value) =>
      value.kind === "list" ? value : this.#asTensor(value),
    );
    if (this.isOpaque(node)) throw new Unlowerable("a loop of an unknown form");
    if (!isSupported(node.op))
      throw new Unlowerable(node.op === "Placeholder" ? "it is not fed" : "the op is not supported");
    // Nothing is known about an operand that is missing: the result is missing too, but it is not this op's fault.
    if (operands.some((value) => value.kind === "missing")) {
      return this.#effects.has(node) ? this.#missingEffect(inputs) : this.#onlyMissing(inputs);
    }
    const lists = operands.filter((value): value is ListValue => value.kind === "list");
    const tensors = operands.filter((value): value is TensorValue => value.kind === "tensor");
    const op = new Op(node, attributes, tensors, this.#emit, resource, lists[0]);
    const result = lowerTensors(op, lists.length > 1);
    const outputs = (Array.isArray(result) ? result : [result]) as readonly Value[];
    return (index) => outputs[index];
  }

  /** Branches and loops; what their bodies lack, they lack. */
  #control(node: NodeDef, attributes: Attributes, inputs: readonly Value[], scope: Scope<Value>): Outputs<Value> {
    if (inputs.some(({ kind }) => kind === "missing")) return this.#onlyMissing(inputs);
    const values = inputs.map((value) =>
      value.kind === "variable" && value.isReference ? this.#asTensor(value) : value,
    );
    const outer = this.#emit;
    const body: Body = {
      inputNames: (name) =>
        (this.graph.functions.get(name)?.signature?.inputArg ?? []).map((argument) => argument.name),
      returns: (name) => {
        const found = this.graph.functions.get(name);
        return (found?.signature?.outputArg ?? []).map((argument) => found?.ret[argument.name]?.split(":")[0] ?? "");
      },
      inline: (name, args) => this.#results(name, args, scope),
      inside: (emit, name, args) => {
        this.#emit = emit;
        try {
          return this.#results(name, args, scope);
        } finally {
          this.#emit = outer;
        }
      },
    };
    const results = BRANCH_OPS.has(node.op)
      ? lowerBranch(outer, attributes, node.op, values, body)
      : lowerLoop(outer, attributes, values, body);
    if ("missing" in results) {
      const standIns = results.missing.flatMap((name) => {
        const missing = this.#missing.get(name);
        return missing ? [this.#standIn(missing, [])] : [];
      });
      return this.#onlyMissing(standIns);
    }
    return (index) => results.values[index];
  }

  #results(name: string, args: readonly Value[], caller: Scope<Value>): Value[] {
    const call = this.openCall(name, args, caller);
    this.#runEffects(call);
    const returned = this.returned(call);
    return (call.body.signature?.outputArg ?? []).map((_, index) => {
      const value = returned(index) ?? unlowerable("a function returns too little");
      return value.kind === "variable" && value.isReference ? this.#asTensor(value) : value;
    });
  }

  #only(value: Value): Outputs<Value> {
    return (index) => (index === 0 ? value : undefined);
  }

  /** A change that cannot be made may not be forgotten either. */
  #missingEffect(inputs: readonly Value[]): Outputs<Value> {
    const standIn = this.#standIn(undefined, inputs);
    this.#emit.addEffect(standIn.name);
    return () => standIn;
  }

  #onlyMissing(inputs: readonly Value[]): Outputs<Value> {
    const standIn = this.#standIn(undefined, inputs);
    return () => standIn;
  }

  /** The same constant is one value, however often its function is called. */
  #constant(key: string | NodeDef, make: () => TensorValue): TensorValue {
    const value = this.#constants.get(key) ?? make();
    this.#constants.set(key, value);
    return value;
  }

  /** A tensor, reading the variable where the value is a handle. */
  #asTensor(value: Value): Exclude<Value, { kind: "variable" }> {
    return value.kind === "variable" ? this.#variable(value) : value;
  }

  /** Variables that no signature assigns are constants. */
  #variable({ key, dtype, shape }: VariableValue): TensorValue | Extract<Value, { kind: "missing" }> {
    const tensor = this.#variables.get(key);
    if (this.#mutable.has(key)) {
      return readVariable(
        this.#emit,
        key,
        tensor ?? { dtype: dtype ?? unlowerable("a variable of such a dtype"), shape },
      );
    }
    if (!tensor) {
      return this.#standIn({ op: "ReadVariableOp", node: key, reason: "the checkpoint does not restore it" }, []);
    }
    return this.#constant(key, () => this.#emit.constant(tensor));
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

function variableOf(node: NodeDef, attributes: Attributes, isReference: boolean): VariableValue {
  const [dtype, shape] = [attributes.dtype("dtype"), attributes.shape("shape")];
  return { kind: "variable", key: variableKey(node), isReference, dtype, shape };
}

function isSupported(op: string): boolean {
  return LOWERINGS.has(op) || HOST_LOWERINGS.has(op);
}

/** An op over tensors (and at most one list): on strings as host calls, else in ONNX's operators. */
function lowerTensors(op: Op, hasTooManyLists: boolean): Value | readonly Value[] {
  const { op: name } = op.node;
  if (hasTooManyLists) unlowerable("over several lists");
  const isOnStrings = op.inputs.some(({ dtype }) => dtype === "string");
  const own = HOST_LOWERINGS.get(name);
  if (own && (isOnStrings || !LOWERINGS.has(name))) return own(op);
  const lowering = LOWERINGS.get(name) ?? unlowerable("on numbers");
  return isOnStrings ? movedStrings(op, lowering) : lowering(op);
}
