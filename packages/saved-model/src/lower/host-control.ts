// Control flow whose bodies ONNX cannot run alone, since they work on strings, parse, look things up or change variables: each
// body becomes a program of its own, and the host runs them.

import { operandName, type Program } from "../program-steps.ts";
import type { Attributes } from "../graph/attributes.ts";
import { pruneGraph } from "../onnx/model.ts";
import { partition } from "../partition.ts";
import {
  type Carried,
  carried,
  type ControlResult,
  jointShape,
  jointType,
  missingIn,
  sameShape,
  typeOf,
} from "./control.ts";
import { type Emitter, type Type, unlowerable } from "./emitter.ts";
import type { MissingOp } from "./missing-op.ts";
import { hostedList } from "./list-forms.ts";
import type { TensorValue, Value } from "./value.ts";

/** A function lowered by itself. */
export interface LoweredBody {
  readonly emit: Emitter;
  readonly results: readonly Value[];
}

type LowerBody = (name: string, args: readonly Value[]) => LoweredBody;

/** The operands of control flow: tensors and lists go by name, handles and constants are known to the bodies. */
class Operands {
  readonly names: string[] = [];
  readonly #emit: Emitter;

  constructor(emit: Emitter) {
    this.#emit = emit;
  }

  /** What stands for an argument in a body. */
  add(value: Value): Value {
    if (value.kind === "tensor" && value.constant) return this.#emit.constant(value.constant);
    return value.kind === "tensor" || value.kind === "list" ? this.pass(value, typeOf(value)) : value;
  }

  /** Passes a value by name, of which the body knows the type only. */
  pass(value: Carried, type: Type): Carried {
    const name = operandName(this.names.length);
    this.names.push(value.kind === "tensor" ? this.#emit.hostOperand(value) : hostedList(this.#emit, value).name);
    return inside(name, value, type);
  }
}

function inside(name: string, { kind, dtype }: Carried, { shape }: Type): Carried {
  return kind === "tensor"
    ? { kind: "tensor", dtype, shape, plain: name }
    : { kind: "list", form: "host", dtype, item: shape, name };
}

/** `bodies` in the order of the selector's values: an index, or false and true. */
export function lowerHostBranch(
  emit: Emitter,
  selector: TensorValue,
  names: readonly string[],
  args: readonly Value[],
  lowerBody: LowerBody,
): ControlResult {
  const operands = new Operands(emit);
  const values = args.map((value) => operands.add(value));
  const bodies = names.map((name) => lowerBody(name, values));
  const missing = bodies.flatMap(missingOf);
  if (missing.length > 0) return { missing };
  const results = bodies.map((body) => body.results.map(carried));
  const types = (results[0] ?? []).map((first, index) =>
    results
      .slice(1)
      .map((other) => jointType(first, other[index] ?? unlowerable("its branches differ")))
      .reduce(jointShape, typeOf(first)),
  );
  const programs = bodies.map((body) => programOf(body, operands.names.length));
  const inputs = [emit.hostOperand(selector), ...operands.names];
  return { values: emit.hostControl({ kind: "branch", bodies: programs }, inputs, types, stateOf(bodies)) };
}

/** Rounds in which the shapes of a loop's values may become less known. */
const MAX_ROUNDS = 8;

export function lowerHostLoop(
  emit: Emitter,
  attributes: Attributes,
  args: readonly Value[],
  isFixed: readonly boolean[],
  lowerBody: LowerBody,
): ControlResult {
  const changing = [...args.keys()].filter((index) => !isFixed[index]);
  const initial = changing.map((index) => carried(args[index] as Value));
  let types = initial.map(typeOf);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const operands = new Operands(emit);
    const whole = [...args];
    for (const [place, value] of initial.entries())
      whole[changing[place] as number] = operands.pass(value, types[place] as Type);
    for (const [index, value] of args.entries()) if (isFixed[index]) whole[index] = operands.add(value);
    const body = lowerBody(attributes.functionName("body"), whole);
    const cond = lowerBody(attributes.functionName("cond"), whole);
    const missing = [cond, body].flatMap(missingOf);
    if (missing.length > 0) return { missing };
    const results = changing.map((index) => carried(body.results[index] as Value));
    const joint = results.map((value, place) => jointShape(types[place] as Type, typeOf(value)));
    if (joint.some((type, place) => !sameShape(type.shape, types[place]?.shape))) {
      types = joint;
      continue;
    }
    const count = operands.names.length;
    const bodies = [programOf(cond, count), programOf({ ...body, results }, count)];
    const outputs = emit.hostControl({ kind: "loop", bodies }, operands.names, types, stateOf([cond, body]));
    const values = [...args];
    for (const [place, index] of changing.entries()) values[index] = outputs[place] as Value;
    return { values };
  }
  return unlowerable("shapes of its values never settle");
}

function missingOf({ emit, results }: LoweredBody): readonly MissingOp[] {
  return missingIn(emit, results);
}

/** Whether the bodies read or change what the model remembers. */
function stateOf(bodies: readonly LoweredBody[]): "reads" | "changes" | undefined {
  if (bodies.some(({ emit }) => emit.effects.length > 0)) return "changes";
  return bodies.some(({ emit }) => emit.readsState) ? "reads" : undefined;
}

function programOf({ emit, results }: LoweredBody, operandCount: number): Program {
  const outputs = results.map((value) => {
    const result = carried(value);
    const name = result.kind === "tensor" ? emit.hostOperand(result) : hostedList(emit, result).name;
    return { name, dtype: result.dtype };
  });
  const names = outputs.map(({ name }) => name);
  const graph = pruneGraph(emit, [...names, ...emit.effects]);
  const parts = partition({ ...graph, initializers: emit.initializers }, new Set(names), emit.types);
  return {
    ...parts,
    inputs: Array.from({ length: operandCount }, (_, index) => operandName(index)),
    outputs: new Map(outputs.map((output, index) => [String(index), output])),
    keepsRowsApart: false,
    nodeCount: graph.nodes.length,
  };
}
