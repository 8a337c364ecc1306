// Complex numbers, which ONNX Runtime does not have: two tensors stand for one. Ops that move or add elements work on both.

import { unlowerable } from "../emitter.ts";
import { converted } from "../carried.ts";
import { lowerTensors } from "../lower-tensors.ts";
import type { Op } from "../op.ts";
import type { ComplexValue, TensorValue, Value } from "../value.ts";
import { COMPLEX_OPS, TRANSFORMS } from "./complex-ops.ts";
import { lowerTransform } from "./spectrum.ts";

type Operand = TensorValue | ComplexValue;
type ComplexLowering = (op: Op, operands: readonly Operand[]) => Value | readonly Value[];

/** Ops that treat the two parts alike. */
const PARTWISE: ReadonlySet<string> = new Set([
  ..."Add AddN AddV2 BroadcastTo Concat ConcatV2 Cumsum ExpandDims Gather GatherNd GatherV2 Mean Neg Pack Pad Reshape".split(
    " ",
  ),
  ..."ReverseV2 Roll Select SelectV2 Slice Split SplitV Squeeze StridedSlice Sub Sum Tile Transpose Unpack ZerosLike".split(
    " ",
  ),
]);

function partwise(op: Op, operands: readonly Operand[]): Value | readonly Value[] {
  const of = (part: "real" | "imaginary"): readonly Value[] => {
    const inputs = operands.map((operand) => (operand.kind === "complex" ? operand[part] : operand));
    const result = lowerTensors(op.withInputs(inputs), false);
    return Array.isArray(result) ? (result as readonly Value[]) : [result as Value];
  };
  const [real, imaginary] = [of("real"), of("imaginary")];
  return real.map((value, index) => joined(value, imaginary[index]));
}

function joined(real: Value | undefined, imaginary: Value | undefined): ComplexValue {
  if (real?.kind !== "tensor" || imaginary?.kind !== "tensor") return unlowerable("on complex numbers");
  return { kind: "complex", real, imaginary };
}

/** A real op of another name over tensors. */
function real(op: Op, name: string, ...inputs: readonly TensorValue[]): TensorValue {
  const result = lowerTensors(op.named(name).withInputs(inputs), false) as Value;
  return result.kind === "tensor" ? result : unlowerable("on complex numbers");
}

function requireComplex(value: Operand | undefined): ComplexValue {
  return value?.kind === "complex" ? value : unlowerable("on a mix of real and complex numbers");
}

function requireReal(value: Operand | undefined): TensorValue {
  return value?.kind === "tensor" ? value : unlowerable("on a mix of real and complex numbers");
}

function product(op: Op, a: ComplexValue, b: ComplexValue): ComplexValue {
  const times = (x: TensorValue, y: TensorValue): TensorValue => real(op, "Mul", x, y);
  return {
    kind: "complex",
    real: real(op, "Sub", times(a.real, b.real), times(a.imaginary, b.imaginary)),
    imaginary: real(op, "AddV2", times(a.real, b.imaginary), times(a.imaginary, b.real)),
  };
}

function conjugate(op: Op, { real: part, imaginary }: ComplexValue): ComplexValue {
  return { kind: "complex", real: part, imaginary: real(op, "Neg", imaginary) };
}

function squaredMagnitude(op: Op, { real: x, imaginary: y }: ComplexValue): TensorValue {
  return real(op, "AddV2", real(op, "Square", x), real(op, "Square", y));
}

function quotient(op: Op, a: ComplexValue, b: ComplexValue): ComplexValue {
  const above = product(op, a, conjugate(op, b));
  const below = squaredMagnitude(op, b);
  return {
    kind: "complex",
    real: real(op, "RealDiv", above.real, below),
    imaginary: real(op, "RealDiv", above.imaginary, below),
  };
}

/** e^(x + iy) = e^x (cos y + i sin y). */
function exponential(op: Op, { real: x, imaginary: y }: ComplexValue): ComplexValue {
  const size = real(op, "Exp", x);
  return {
    kind: "complex",
    real: real(op, "Mul", size, real(op, "Cos", y)),
    imaginary: real(op, "Mul", size, real(op, "Sin", y)),
  };
}

/** Between real and complex numbers; towards real ones the imaginary part falls away. */
const cast: ComplexLowering = (op, [value]) => {
  const dtype = op.attributes.complexPart("DstT");
  if (dtype === undefined) return lowerTensors(op.withInputs([requireComplex(value).real]), false);
  const part = (given: TensorValue): TensorValue => (given.dtype === dtype ? given : converted(op.emit, given, dtype));
  if (value?.kind === "complex") return { kind: "complex", real: part(value.real), imaginary: part(value.imaginary) };
  const given = part(requireReal(value));
  return { kind: "complex", real: given, imaginary: real(op, "ZerosLike", given) };
};

const COMPLEX: Readonly<Record<string, ComplexLowering>> = {
  Angle: (op, [value]) => real(op, "Atan2", requireComplex(value).imaginary, requireComplex(value).real),
  Cast: cast,
  Complex: (_, [x, y]) => ({ kind: "complex", real: requireReal(x), imaginary: requireReal(y) }),
  ComplexAbs: (op, [value]) => real(op, "Sqrt", squaredMagnitude(op, requireComplex(value))),
  Conj: (op, [value]) => conjugate(op, requireComplex(value)),
  Exp: (op, [value]) => exponential(op, requireComplex(value)),
  Imag: (_, [value]) => requireComplex(value).imaginary,
  Mul: (op, [a, b]) => product(op, requireComplex(a), requireComplex(b)),
  Real: (_, [value]) => requireComplex(value).real,
  RealDiv: (op, [a, b]) => quotient(op, requireComplex(a), requireComplex(b)),
  Square: (op, [value]) => product(op, requireComplex(value), requireComplex(value)),
  ...Object.fromEntries(TRANSFORMS.map((name) => [name, lowerTransform])),
};

/** Whether an op is about complex numbers. */
export function isComplex(op: Op, operands: readonly Value[]): boolean {
  if (COMPLEX_OPS.has(op.node.op) || operands.some(({ kind }) => kind === "complex")) return true;
  return op.node.op === "Cast" && op.attributes.dtype("DstT") === undefined;
}

export function lowerComplex(op: Op, values: readonly Value[]): Value | readonly Value[] {
  const operands = values.filter((value) => value.kind === "tensor" || value.kind === "complex");
  if (operands.length !== values.length) return unlowerable("on complex numbers and others");
  const { op: name } = op.node;
  if (Object.hasOwn(COMPLEX, name)) return (COMPLEX[name] as ComplexLowering)(op, operands);
  return PARTWISE.has(name) ? partwise(op, operands) : unlowerable("on complex numbers");
}
