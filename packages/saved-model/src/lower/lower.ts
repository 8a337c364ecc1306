import type { FunctionDef } from "@cloister/encoding/gen/tensorflow/core/framework/function_pb";
import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { DType } from "@cloister/encoding/tensor";
import { SavedModelError } from "../error.ts";
import { Attributes } from "../graph/attributes.ts";
import { EffectIndex } from "../graph/effects.ts";
import { parseGraphEdge } from "../graph/graph.ts";
import { CALL_OPS, TABLE_OPS, variableKey } from "../graph/restore.ts";
import { Budget, type Outputs, type Scope, Tracer } from "../graph/tracer.ts";
import { BRANCH_OPS, LOOP_OPS } from "./control.ts";
import { type Bodies, functionsOf, lowerControl } from "./control-flow.ts";
import { Emitter, Unlowerable, unlowerable } from "./emitter.ts";
import type { MissingOp } from "./missing-op.ts";
import { Op } from "./op.ts";
import { isComplex, lowerComplex } from "./ops/complex.ts";
import { isSupported, lowerTensors } from "./lower-tensors.ts";
import { readVariable, VARIABLE_CHANGES } from "./state-ops.ts";
import { PASS_THROUGH } from "./table.ts";
import type { Lowered, LoweringContext, LoweringTask } from "./task.ts";
import type {
  ComplexValue,
  ListValue,
  MissingValue,
  Shape,
  TableValue,
  TensorValue,
  Value,
  VariableValue,
} from "./value.ts";

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
  readonly #context: LoweringContext;
  readonly #effects: EffectIndex;
  readonly #assigned = new Set<string>();
  readonly #constants = new Map<string | NodeDef, TensorValue>();

  constructor(context: LoweringContext, budget = new Budget()) {
    super(context.graph, { followControl: true, budget });
    this.#context = context;
    this.#effects = new EffectIndex(context.graph);
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
    const { effects, types, missing } = this.#emit;
    return { graph: this.#emit, fetches: new Map(results), missing, effects, assigned: this.#assigned, types };
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
      // A change that cannot be made may not be forgotten either.
      if (this.#changesState(node, inputs)) this.#emit.addEffect(standIn.name);
      return () => standIn;
    }
  }

  #lower(node: NodeDef, inputs: readonly Value[], scope: Scope<Value>): Outputs<Value> {
    const attributes = new Attributes(node);
    if (CALL_OPS.has(node.op)) return this.#call(attributes.functionName("f"), inputs, scope);
    if (PASS_THROUGH.has(node.op)) return (index) => inputs[index] && this.#passed(inputs[index]);
    if (BRANCH_OPS.has(node.op) || LOOP_OPS.has(node.op)) return this.#control(node, attributes, inputs, scope);
    if (TABLE_OPS.has(node.op)) return this.#only(tableOf(node, attributes));
    switch (node.op) {
      case "Const":
        return this.#only(this.#const(node, attributes));
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

  #const(node: NodeDef, attributes: Attributes): Value {
    const parts = attributes.complexTensor("value");
    if (!parts) return this.#constant(node, () => this.#emit.constant(attributes.tensor("value")));
    return { kind: "complex", real: this.#emit.constant(parts.real), imaginary: this.#emit.constant(parts.imaginary) };
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
      const results = change(new Op(node, attributes, operands, this.#emit, handle));
      return results ? (index) => results[index] : this.#only(handle);
    }
    const resource = handle?.kind === "table" || handle?.kind === "array" ? handle : undefined;
    const operands = (resource ? inputs.slice(1) : inputs).map((value) =>
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
    const result = isComplex(op, operands) ? lowerComplex(op, operands) : lowerTensors(op, lists.length > 1);
    const outputs = (Array.isArray(result) ? result : [result]) as readonly Value[];
    return (index) => outputs[index];
  }

  #changesState(node: NodeDef, [handle]: readonly Value[]): boolean {
    const isUnknown = handle?.kind === "variable" && !isSupported(node.op);
    if (isUnknown) this.#assigned.add(handle.key);
    return isUnknown || this.#effects.has(node);
  }

  /** Branches and loops; what their bodies lack, they lack. */
  #control(node: NodeDef, attributes: Attributes, inputs: readonly Value[], scope: Scope<Value>): Outputs<Value> {
    const bodies = this.#bodiesIn(scope);
    if (inputs.some(({ kind }) => kind === "missing")) {
      // What the bodies lack themselves is found all the same, and which variables they assign.
      const args = BRANCH_OPS.has(node.op) ? inputs.slice(1) : inputs;
      const standIns = functionsOf(node).flatMap((name) =>
        Array.from(bodies.alone(name, args).emit.missing.values(), (missing) => this.#standIn(missing, [])),
      );
      return this.#onlyMissing([...inputs, ...standIns]);
    }
    const values = inputs.map((value) =>
      value.kind === "variable" && value.isReference ? this.#asTensor(value) : value,
    );
    const results = lowerControl(node, attributes, this.#emit, values, bodies);
    if ("missing" in results) return this.#onlyMissing(results.missing.map((missing) => this.#standIn(missing, [])));
    return (index) => results.values[index];
  }

  /** How control flow in `scope` lowers its functions. */
  #bodiesIn(scope: Scope<Value>): Bodies {
    const outer = this.#emit;
    const { functions } = this.graph;
    return {
      inputNames: (name) => (functions.get(name)?.signature?.inputArg ?? []).map((argument) => argument.name),
      returns: (name) => {
        const found = functions.get(name);
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
      alone: (name, args) => {
        const tracer = new LoweringTracer(this.#context, this.budget);
        for (const value of args) if (value.kind === "tensor" && !value.constant) tracer.#emit.hostOperand(value);
        const results = tracer.#results(name, args, { ...tracer.topScope(new Map()), trail: scope.trail });
        for (const key of tracer.#assigned) this.#assigned.add(key);
        return { emit: tracer.#emit, results };
      },
    };
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
  #asTensor(value: Value): Exclude<Value, VariableValue> {
    return value.kind === "variable" ? this.#variable(value) : value;
  }

  /** Variables that no signature assigns are constants. */
  #variable({ key, dtype, shape }: VariableValue): TensorValue | ComplexValue | MissingValue {
    const tensor = this.#context.variables.get(key);
    const parts = this.#context.complexVariables.get(key);
    if (parts && !this.#context.mutable.has(key)) {
      const [real, imaginary] = [parts.real, parts.imaginary].map((part) => this.#emit.constant(part));
      if (real && imaginary) return { kind: "complex", real, imaginary };
    }
    if (this.#context.mutable.has(key)) {
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

  /** Stands for an op's result where the op, or an operand of it, is missing. */
  #standIn(missing: MissingOp | undefined, inputs: readonly Value[]): MissingValue {
    const operands = inputs.flatMap((value) => {
      if (value.kind === "missing") return [value.name];
      // Whatever else the op takes is needed too: it may be missing in its turn.
      return value.kind === "tensor" ? [value.plain, value.channelsFirst].filter((name) => name !== undefined) : [];
    });
    return this.#emit.standIn(missing, operands);
  }
}

function tableOf(node: NodeDef, attributes: Attributes): TableValue {
  const [keyDType, valueDType] = [attributes.dtype("key_dtype"), attributes.dtype("value_dtype")];
  const isOfTensors = /OfTensors|Dense/.test(node.op);
  const valueShape = isOfTensors ? attributes.shape("value_shape") : [];
  return { kind: "table", key: variableKey(node), keyDType, valueDType, valueShape };
}

function variableOf(node: NodeDef, attributes: Attributes, isReference: boolean): VariableValue {
  const [dtype, shape] = [attributes.dtype("dtype"), attributes.shape("shape")];
  return { kind: "variable", key: variableKey(node), isReference, dtype, shape };
}
