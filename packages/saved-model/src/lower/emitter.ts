import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { HostCall } from "../host/call.ts";
import { indexCall, pickCall } from "../host/moves.ts";
import type {
  GraphNode,
  HostControl,
  HostNode,
  OnnxAttribute,
  OnnxGraph,
  OnnxInitializer,
  OnnxNode,
  OnnxValueInfo,
} from "../onnx/model.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { reshapeTensor, transposeTensor } from "../tensor/transform.ts";
import { MISSING_OP, type MissingOp } from "./missing-op.ts";
import {
  type ListValue,
  type MissingValue,
  type Shape,
  type TensorValue,
  TO_CHANNELS_FIRST,
  TO_CHANNELS_LAST,
} from "./value.ts";

/** Why an op cannot be lowered; the tracer turns it into an entry of the list of missing ops. */
export class Unlowerable extends Error {}

/** Refuses the node at hand, in a half sentence. */
export function unlowerable(reason: string): never {
  throw new Unlowerable(reason);
}

type Attrs = Readonly<Record<string, OnnxAttribute>>;
export interface Type {
  readonly dtype: DType;
  readonly shape: Shape;
  /** A sequence of such tensors, see ListValue. */
  readonly isSequence?: boolean;
}

/** Collects the nodes of an ONNX graph and keeps track of the two layouts of image tensors. */
export class Emitter {
  readonly nodes: GraphNode[] = [];
  readonly initializers: Map<string, OnnxInitializer>;
  readonly inputs: OnnxValueInfo[] = [];
  /** Types of the values that cross between ONNX and host calls, and of results of control flow. */
  readonly types: Map<string, Type>;
  /** What stand-in nodes (`MISSING_OP`) stand for, by the name of their output. */
  readonly missing: Map<string, MissingOp>;
  readonly #intNames: Map<string, string>;
  readonly #counter: { next: number };
  readonly #outer: Emitter | undefined;
  /** What the last call that reads or changes the model's state gave: the next one takes it, so that they keep their order. */
  #state: string | undefined;
  readonly #effects: string[] = [];
  readonly #hostResults = new Set<string>();

  /** With an `outer` one it collects the nodes of a subgraph: its constants are the whole graph's. */
  constructor(outer?: Emitter) {
    this.#outer = outer;
    this.missing = outer?.missing ?? new Map<string, MissingOp>();
    this.initializers = outer?.initializers ?? new Map<string, OnnxInitializer>();
    this.types = outer?.types ?? new Map<string, Type>();
    this.#intNames = outer ? outer.#intNames : new Map<string, string>();
    this.#counter = outer ? outer.#counter : { next: 0 };
  }

  #fresh(hint: string): string {
    return `${hint}_${this.#counter.next++}`;
  }

  get isBody(): boolean {
    return this.#outer !== undefined;
  }

  /** Adds a node that stands for what cannot be lowered: `missing`, or for another reason one of its operands. */
  standIn(missing: MissingOp | undefined, operands: readonly string[]): MissingValue {
    const [name] = this.node(MISSING_OP, operands);
    if (missing) this.missing.set(name, missing);
    return { kind: "missing", name };
  }

  addEffect(name: string): void {
    this.#effects.push(name);
  }

  /** Whether a host call gives the value of that name. */
  isHostResult(name: string): boolean {
    return this.#hostResults.has(name);
  }

  /** A name for an input of a subgraph. */
  name(hint: string): string {
    return this.#fresh(hint);
  }

  /** What calls that change the model's state give: outputs that every request needs. */
  get effects(): readonly string[] {
    return this.#effects;
  }

  /** Whether a call looks at the model's state. */
  get readsState(): boolean {
    return this.#state !== undefined;
  }

  /**
   * Adds a call that the host makes. `state`: it reads or changes what the model remembers, so that it must neither be dropped
   * (a change) nor change places with its like.
   */
  host(
    call: HostCall,
    operands: readonly TensorValue[],
    results: readonly Type[],
    state?: "reads" | "changes",
  ): TensorValue[] {
    const inputs = operands.map((operand) => this.hostOperand(operand));
    const names = this.#addHost(call, call.op, inputs, results, state);
    return results.map(({ dtype, shape }, index) => ({ kind: "tensor", dtype, shape, plain: names[index] ?? "" }));
  }

  /** As `host`, for a call that takes a list (last) or gives one (first). */
  hostList(
    call: HostCall,
    operands: readonly (TensorValue | ListValue)[],
    results: readonly Type[],
  ): (TensorValue | ListValue)[] {
    const inputs = operands.map((operand) => (operand.kind === "list" ? operand.name : this.hostOperand(operand)));
    return this.#hostValues(this.#addHost(call, call.op, inputs, results), results);
  }

  /** Adds control flow that the host runs. */
  hostControl(
    control: HostControl,
    inputs: readonly string[],
    results: readonly Type[],
    state?: "reads" | "changes",
  ): (TensorValue | ListValue)[] {
    return this.#hostValues(this.#addHost(control, control.kind, inputs, results, state), results);
  }

  #hostValues(names: readonly string[], results: readonly Type[]): (TensorValue | ListValue)[] {
    return results.map(({ dtype, shape, isSequence }, index) => {
      const name = names[index] ?? "";
      return isSequence
        ? { kind: "list", form: "host", dtype, item: shape, name }
        : { kind: "tensor", dtype, shape, plain: name };
    });
  }

  /** The name of a value that goes to the host, in TensorFlow's order. */
  hostOperand(value: TensorValue): string {
    const name = this.plain(value);
    if (!this.types.has(name)) this.types.set(name, value);
    return name;
  }

  #addHost(
    host: HostNode["host"],
    hint: string,
    inputs: readonly string[],
    results: readonly Type[],
    state?: "reads" | "changes",
  ): string[] {
    if (this.#outer) unlowerable("in a loop or branch");
    const first = this.#fresh(hint);
    const outputs = results.map((type, index) => {
      const name = `${first}_${index}`;
      this.types.set(name, type);
      this.#hostResults.add(name);
      return name;
    });
    if (state) {
      const token = `${first}_state`;
      this.nodes.push({ host, inputs, outputs, token: { before: this.#state, after: token } });
      this.#state = token;
      if (state === "changes") this.#effects.push(token);
    } else {
      this.nodes.push({ host, inputs, outputs });
    }
    return outputs;
  }

  /** For each string tensor an int64 tensor of its shape: where its elements are among all elements of `values`. */
  indicesOf(values: readonly TensorValue[]): TensorValue[] {
    const types = values.map(({ shape }): Type => ({ dtype: "int64", shape }));
    return this.host(indexCall(values.length), values, types);
  }

  /** Adds a node with subgraphs. */
  control(
    op: string,
    inputs: readonly string[],
    results: readonly Type[],
    subgraphs: Readonly<Record<string, OnnxGraph>>,
    captures: readonly string[],
  ): string[] {
    const outputs = this.node(op, inputs, {}, results.length);
    const node = this.nodes.pop() as OnnxNode;
    this.nodes.push({ ...node, subgraphs, captures });
    for (const [index, name] of outputs.entries()) this.types.set(name, results[index] as Type);
    return outputs;
  }

  /** Adds a node over ONNX names; returns the names of its outputs. */
  node(op: string, inputs: readonly string[], attributes: Attrs = {}, outputCount = 1): [string, ...string[]] {
    const first = this.#fresh(op);
    const outputs: [string, ...string[]] = [first];
    for (let i = 1; i < outputCount; i++) outputs.push(`${first}_${i}`);
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  /** Adds a node with one output in TensorFlow's order. */
  plainNode(op: string, inputs: readonly string[], { dtype, shape }: Type, attributes: Attrs = {}): TensorValue {
    return { kind: "tensor", dtype, shape, plain: this.node(op, inputs, attributes)[0] };
  }

  /** Adds a node with one output in channels-first order; `shape` is the NHWC one. */
  channelsFirstNode(
    op: string,
    inputs: readonly string[],
    { dtype, shape }: Type,
    attributes: Attrs = {},
  ): TensorValue {
    return { kind: "tensor", dtype, shape, channelsFirst: this.node(op, inputs, attributes)[0] };
  }

  /** A constant; it becomes an initializer only when a node asks for its name. */
  constant(tensor: Tensor): TensorValue {
    return { kind: "tensor", dtype: tensor.dtype, shape: tensor.shape, constant: tensor };
  }

  initializer(tensor: Tensor): string {
    return this.#lazyInitializer({ dtype: tensor.dtype, shape: tensor.shape, make: () => tensor });
  }

  /** A numeric constant with its axes in another order. */
  transposedInitializer(tensor: Tensor, permutation: readonly number[]): string {
    const shape = permutation.map((axis) => tensor.shape[axis] ?? 1);
    return this.#lazyInitializer({ dtype: tensor.dtype, shape, make: () => transposeTensor(tensor, permutation) });
  }

  #lazyInitializer(initializer: OnnxInitializer): string {
    const name = this.#fresh("const");
    this.initializers.set(name, initializer);
    return name;
  }

  /** The name of an int64 vector, shared between equal ones. */
  ints(values: readonly number[]): string {
    return this.#integers(values, [values.length]);
  }

  /** The name of an int64 scalar. */
  int(value: number): string {
    return this.#integers([value], []);
  }

  #integers(values: readonly number[], shape: readonly number[]): string {
    const key = `${shape.length}:${values.join()}`;
    const name =
      this.#intNames.get(key) ?? this.initializer({ dtype: "int64", shape, data: BigInt64Array.from(values, BigInt) });
    this.#intNames.set(key, name);
    return name;
  }

  /** A float scalar of a floating-point dtype (half precision runs in single, see `inComputeType`). */
  scalar(value: number, dtype: DType): string {
    const data = dtype === "double" ? Float64Array.of(value) : Float32Array.of(value);
    return this.initializer({ dtype: dtype === "double" ? "double" : "float", shape: [], data });
  }

  /** Name of the value in TensorFlow's order. */
  plain(value: TensorValue): string {
    if (value.plain !== undefined) return value.plain;
    if (value.constant) value.plain = this.initializer(value.constant);
    else if (value.moved) [value.plain] = this.#pick(value, value.moved);
    else if (value.channelsFirst === undefined) throw new Error("a tensor without a name");
    else value.plain = this.node("Transpose", [value.channelsFirst], { perm: TO_CHANNELS_LAST })[0];
    return value.plain;
  }

  /** Makes the string tensor whose elements were moved around. */
  #pick({ shape }: TensorValue, { pool, indices }: NonNullable<TensorValue["moved"]>): [string] {
    const [picked] = this.host(pickCall(pool.length), [...pool, indices], [{ dtype: "string", shape }]);
    return [picked?.plain ?? ""];
  }

  /** Name of a value of rank 4 in channels-first order. */
  channelsFirst(value: TensorValue): string {
    if (value.channelsFirst !== undefined) return value.channelsFirst;
    if (value.constant) value.channelsFirst = this.transposedInitializer(value.constant, TO_CHANNELS_FIRST);
    else value.channelsFirst = this.node("Transpose", [this.plain(value)], { perm: TO_CHANNELS_FIRST })[0];
    return value.channelsFirst;
  }

  /**
   * Name of an operand that broadcasts against a channels-first tensor, or `undefined` where its rank is unknown. Operands of
   * lower rank belong to the last axes of NHWC: they get leading ones first.
   */
  broadcastChannelsFirst(value: TensorValue): string | undefined {
    const { shape, constant } = value;
    if (value.channelsFirst !== undefined) return value.channelsFirst;
    if (!shape || shape.length > 4) return undefined;
    if (shape.length === 0) return this.plain(value);
    if (shape.length === 4) return this.channelsFirst(value);
    const padded = [...Array<number>(4 - shape.length).fill(1), ...shape];
    if (constant) return this.transposedInitializer(reshapeTensor(constant, padded), TO_CHANNELS_FIRST);
    const axes = Array.from({ length: 4 - shape.length }, (_, axis) => axis);
    const [wide] = this.node("Unsqueeze", [this.plain(value), this.ints(axes)]);
    return this.node("Transpose", [wide], { perm: TO_CHANNELS_FIRST })[0];
  }

  /** Whether work on the value is best done in channels-first order. */
  prefersChannelsFirst(value: TensorValue): boolean {
    return value.channelsFirst !== undefined && value.constant === undefined;
  }

  cast(name: string, dtype: DType): string {
    return this.node("Cast", [name], { to: DTYPES[dtype].onnx })[0];
  }

  /** An integer operand (indices, shapes, axes) as int64, which ONNX wants. */
  asInt64(value: TensorValue): string {
    const ints = value.constant ? knownConstantInts(value.constant) : undefined;
    if (ints) return this.#integers(ints, value.constant?.shape ?? []);
    return value.dtype === "int64" ? this.plain(value) : this.cast(this.plain(value), "int64");
  }
}

function knownConstantInts(tensor: Tensor): readonly number[] | undefined {
  if (tensor.shape.length > 1 || (tensor.dtype !== "int32" && tensor.dtype !== "int64")) return undefined;
  return Array.from(tensor.data as Int32Array | BigInt64Array, Number);
}
