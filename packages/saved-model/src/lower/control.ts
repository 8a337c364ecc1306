// If, Case and While as ONNX's If and Loop. TensorFlow's bodies are functions: they see their arguments only. ONNX's are
// subgraphs that see everything around them, so what a loop does not change stays outside of it.

import type { Attributes } from "../graph/attributes.ts";
import { needsOf, type OnnxGraph, type OnnxNode, type OnnxValueInfo, pruneGraph } from "../onnx/model.ts";
import { MISSING_OP, type MissingOp } from "./missing-op.ts";
import { Emitter, type Type, unlowerable } from "./emitter.ts";
import { asSequence } from "./list-forms.ts";
import { knownInts, type Shape, type TensorValue, type Value } from "./value.ts";

export const BRANCH_OPS: ReadonlySet<string> = new Set(["If", "StatelessIf", "Case", "StatelessCase"]);
export const LOOP_OPS: ReadonlySet<string> = new Set(["While", "StatelessWhile"]);

/** The functions that control flow calls. */
export interface Body {
  readonly inputNames: (name: string) => readonly string[];
  /** For each result of a function, the node or argument that it comes from. */
  readonly returns: (name: string) => readonly string[];
  /** The results of a function, lowered where its call stands. */
  readonly inline: (name: string, args: readonly Value[]) => readonly Value[];
  /** The results of a function, lowered into `emit`. */
  readonly inside: (emit: Emitter, name: string, args: readonly Value[]) => readonly Value[];
}

/** Results, or what keeps a body from being lowered. */
export type ControlResult = { readonly values: readonly Value[] } | { readonly missing: readonly MissingOp[] };

/** A value of a loop or branch: a tensor or a list. */
export type Carried = Extract<Value, { kind: "tensor" } | { kind: "list" }>;

/** Which function runs: `names` in the order of the selector's values, an index or false and true. */
export function selectionOf(
  attributes: Attributes,
  op: string,
  [selector, ...args]: readonly Value[],
): { selector: TensorValue; names: readonly string[]; args: readonly Value[] } {
  if (selector?.kind !== "tensor") return unlowerable("its condition is no tensor");
  const names = op.endsWith("Case")
    ? attributes.functionNames("branches")
    : [attributes.functionName("else_branch"), attributes.functionName("then_branch")];
  return { selector, names, args };
}

/** If has a condition and two branches, Case an index and any number of them. */
export function lowerBranch(
  emit: Emitter,
  attributes: Attributes,
  op: string,
  values: readonly Value[],
  body: Body,
): ControlResult {
  const { selector, names, args } = selectionOf(attributes, op, values);
  if (op.endsWith("Case")) {
    const [known] = knownInts(selector) ?? [];
    const last = names.length - 1;
    if (known !== undefined) {
      return { values: body.inline(names[known < 0 || known > last ? last : known] ?? "", args) };
    }
    return lowerCase(emit, selector, names, 0, args, body);
  }
  const [otherwise = "", then = ""] = names;
  const known = selector.constant?.data[0];
  if (known !== undefined) return { values: body.inline(Number(known) === 0 ? otherwise : then, args) };
  const side =
    (name: string): Side =>
    (inner) => ({ values: body.inside(inner, name, args.map(copied)) });
  return lowerIf(emit, booleanName(emit, selector), [side(then), side(otherwise)]);
}

/** A chain of If: index == 0, index == 1, ..., the last branch for all else. */
function lowerCase(
  emit: Emitter,
  selector: TensorValue,
  branches: readonly string[],
  first: number,
  args: readonly Value[],
  body: Body,
): ControlResult {
  const [own = "", ...others] = branches.slice(first);
  if (others.length === 0) return { values: body.inside(emit, own, args) };
  const [isThis] = emit.node("Equal", [emit.asInt64(selector), emit.int(first)]);
  return lowerIf(emit, isThis, [
    (inner) => ({ values: body.inside(inner, own, args.map(copied)) }),
    (inner) => lowerCase(inner, { ...selector }, branches, first + 1, args.map(copied), body),
  ]);
}

type Side = (inner: Emitter) => ControlResult;

/** One of two subgraphs, by a condition that is known when the program runs. */
export function lowerIf(emit: Emitter, condition: string, build: readonly [Side, Side]): ControlResult {
  const sides = build.map((side) => {
    const inner = new Emitter(emit);
    return { inner, result: side(inner) };
  });
  const missing = sides.flatMap(({ inner, result }) =>
    "missing" in result ? result.missing : missingIn(inner, result.values),
  );
  if (missing.length > 0) return { missing };
  const values = sides.map(({ result }) => ("values" in result ? result.values : []).map(carried));
  const [then, other] = values as [Carried[], Carried[]];
  const types = then.map((value, index) => jointType(value, other[index] ?? unlowerable("its branches differ")));
  const graphs = sides.map(({ inner }, side) => {
    const names = (values[side] ?? []).map((value) => resultOf(inner, value));
    return subgraph(
      inner,
      [],
      names.map((name, index) => Object.assign({ name }, types[index] as Type)),
    );
  });
  const [thenGraph, elseGraph] = graphs as [OnnxGraph, OnnxGraph];
  const outputs = emit.control(
    "If",
    [condition],
    types,
    { then_branch: thenGraph, else_branch: elseGraph },
    graphs.flatMap(capturesOf),
  );
  return { values: outputs.map((name, index) => valueOf(name, types[index] as Type)) };
}

/** Rounds in which the shapes of a loop's values may become less known. */
const MAX_ROUNDS = 8;

/** For each value of a loop whether its body gives it back as it came: it is the same in every round. */
export function fixedOf(attributes: Attributes, body: Body): readonly boolean[] {
  const name = attributes.functionName("body");
  const inputNames = body.inputNames(name);
  return body.returns(name).map((node, index) => node === inputNames[index]);
}

/** `while (cond(values)) values = body(values)`. */
export function lowerLoop(emit: Emitter, attributes: Attributes, args: readonly Value[], body: Body): ControlResult {
  const [condName, bodyName] = [attributes.functionName("cond"), attributes.functionName("body")];
  const isFixed = fixedOf(attributes, body);
  const initial = args.map((value, index) => (isFixed[index] ? value : initialOf(emit, carried(value))));
  const changing = initial.flatMap((value, index) => (isFixed[index] ? [] : [{ value: value as Carried, index }]));
  let types = changing.map(({ value }) => typeOf(value));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const inner = new Emitter(emit);
    const inputs = types.map((type): OnnxValueInfo => ({ name: inner.name("item"), ...type }));
    const fill = (values: readonly Value[]): Value[] => {
      const whole = initial.map(copied);
      for (const [place, { index }] of changing.entries()) whole[index] = values[place] as Value;
      return whole;
    };
    const results = body.inside(inner, bodyName, fill(inputs.map((info) => valueOf(info.name, info))));
    const next = fill(changing.map(({ index }) => results[index] as Value));
    const [again] = next.some(({ kind }) => kind === "missing") ? [] : body.inside(inner, condName, next);
    const missing = missingIn(inner, [...next, ...(again ? [again] : [])]);
    if (missing.length > 0) return { missing };
    const after = changing.map(({ index }) => carried(next[index] as Value));
    const joint = after.map((value, place) => jointShape(types[place] as Type, typeOf(value)));
    if (joint.some((type, place) => !sameShape(type.shape, types[place]?.shape))) {
      types = joint;
      continue;
    }
    const bodyGraph = loopBody(inner, inputs, types, after, again as Value);
    const [first] = body.inline(condName, initial);
    if (first?.kind !== "tensor")
      return first?.kind === "missing"
        ? { missing: missingIn(emit, [first]) }
        : unlowerable("its condition is no tensor");
    const operands = ["", booleanName(emit, first), ...changing.map(({ value }) => nameOf(emit, value))];
    const outputs = emit.control("Loop", operands, types, { body: bodyGraph }, capturesOf(bodyGraph));
    const values = [...args];
    for (const [place, { index }] of changing.entries())
      values[index] = valueOf(outputs[place] ?? "", types[place] as Type);
    return { values };
  }
  return unlowerable("shapes of its values never settle");
}

function loopBody(
  inner: Emitter,
  inputs: readonly OnnxValueInfo[],
  types: readonly Type[],
  after: readonly Carried[],
  again: Value,
): OnnxGraph {
  if (again.kind !== "tensor") return unlowerable("its condition is no tensor");
  const [condition] = inner.node("Identity", [booleanName(inner, again)]);
  const outputs = after.map((value, place) => ({
    name: resultOf(inner, value),
    ...(types[place] as Type),
  }));
  const counter: OnnxValueInfo = { name: inner.name("round"), dtype: "int64", shape: [] };
  const before: OnnxValueInfo = { name: inner.name("goes_on"), dtype: "bool", shape: [] };
  return subgraph(inner, [counter, before, ...inputs], [{ name: condition, dtype: "bool", shape: [] }, ...outputs]);
}

function subgraph(inner: Emitter, inputs: readonly OnnxValueInfo[], outputs: readonly OnnxValueInfo[]): OnnxGraph {
  const needed = new Set(outputs.map(({ name }) => name));
  const nodes: OnnxNode[] = [];
  for (const node of inner.nodes.toReversed()) {
    if ("host" in node || !node.outputs.some((name) => needed.has(name))) continue;
    for (const name of needsOf(node)) needed.add(name);
    nodes.push(node);
  }
  return { nodes: nodes.reverse(), initializers: new Map(), inputs, outputs };
}

/** Names that a subgraph takes from around it. */
function capturesOf(graph: OnnxGraph): string[] {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  const used = new Set(graph.nodes.flatMap((node) => needsOf(node)));
  return [...used].filter((name) => name !== "" && !own.has(name));
}

/** What the results and effects of a body lack. */
export function missingIn(emit: Emitter, results: readonly Value[]): readonly MissingOp[] {
  const names = results.flatMap((value) => {
    if (value.kind === "tensor") return [value.plain, value.channelsFirst].filter((name) => name !== undefined);
    return value.kind === "list" || value.kind === "missing" ? [value.name] : [];
  });
  const { nodes } = pruneGraph(emit, [...names, ...emit.effects]);
  return nodes
    .flatMap((node) => ("op" in node && node.op === MISSING_OP ? node.outputs : []))
    .flatMap((name) => emit.missing.get(name) ?? []);
}

/** Names that a body makes for a value of outside must not be known outside. */
function copied(value: Value): Value {
  return value.kind === "tensor" ? { ...value } : value;
}

export function carried(value: Value): Carried {
  return value.kind === "tensor" || value.kind === "list" ? value : unlowerable(`a ${value.kind} that a body changes`);
}

/** A list that a loop changes is a sequence. */
function initialOf(emit: Emitter, value: Carried): Carried {
  if (value.kind === "tensor") return value.dtype === "string" ? unlowerable("strings in a loop") : value;
  return asSequence(emit, value);
}

export function typeOf(value: Carried): Type {
  if (value.kind === "tensor") return { dtype: value.dtype, shape: value.shape };
  return { dtype: value.dtype, shape: value.item, isSequence: true };
}

function valueOf(name: string, { dtype, shape, isSequence }: Type): Carried {
  return isSequence
    ? { kind: "list", form: "sequence", dtype, item: shape, name }
    : { kind: "tensor", dtype, shape, plain: name };
}

function nameOf(emit: Emitter, value: Carried): string {
  if (value.kind === "tensor") return value.dtype === "string" ? unlowerable("strings in a branch") : emit.plain(value);
  return asSequence(emit, value).name;
}

/** The name under which a body gives a value: always made by a node of its own. */
function resultOf(inner: Emitter, value: Carried): string {
  return inner.node("Identity", [nameOf(inner, value)])[0];
}

export function jointType(a: Carried, b: Carried): Type {
  if (a.kind !== b.kind || a.dtype !== b.dtype) return unlowerable("its branches give different types");
  return jointShape(typeOf(a), typeOf(b));
}

export function jointShape(a: Type, b: Type): Type {
  return { ...a, shape: commonShape(a.shape, b.shape) };
}

/** What two shapes have in common. */
function commonShape(a: Shape, b: Shape): Shape {
  if (!a || a.length !== b?.length) return undefined;
  return a.map((size, axis) => (size === b[axis] ? size : -1));
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a === b || (a !== undefined && a.join() === b?.join());
}

/** Any number but zero is true; a tensor that is no scalar is true where it has elements, which no export uses. */
function booleanName(emit: Emitter, value: TensorValue): string {
  const name = emit.plain(value);
  const scalar = value.shape?.length === 0 ? name : emit.node("Reshape", [name, emit.ints([])])[0];
  return value.dtype === "bool" ? scalar : emit.cast(scalar, "bool");
}
