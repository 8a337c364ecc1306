import type { NumericArray } from "@cloister/encoding/tensor";
import { computeType, elementwise, fromCompute, inOneLayout, isFloating, toCompute } from "../elementwise.ts";
import { type Emitter, unlowerable } from "../emitter.ts";
import { type Arithmetic, foldArithmetic, foldElements } from "../fold.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { TensorValue } from "../value.ts";

type BuildNode = (emit: Emitter, names: readonly [string, ...string[]], op: Op) => string;

/** An op over one or two operands; `calculate` folds it where they are known. */
function arithmetic(build: BuildNode, calculate?: Arithmetic): Lowering {
  return (op) => {
    const operands = op.inputs as readonly [TensorValue, ...TensorValue[]];
    const folded = calculate && foldArithmetic(calculate, operands);
    if (folded) return folded;
    const value = elementwise(op.emit, operands, (names) => build(op.emit, names, op));
    const elements = calculate && foldElements(calculate, operands);
    return elements ? { ...value, elements } : value;
  };
}

const onnx =
  (name: string): BuildNode =>
  (emit, names) =>
    emit.node(name, names)[0];

/** Only for floating-point operands: ONNX Runtime has no integer kernel, and TensorFlow hardly ever uses one. */
const floatingOnly =
  (build: BuildNode): BuildNode =>
  (emit, names, op) =>
    isFloating(op.input(0).dtype) ? build(emit, names, op) : unlowerable(`on ${op.input(0).dtype}`);

/**
 * A divisor of integers, and a quotient by it. The smallest integer has no quotient by -1: the processor traps, and the process with
 * it. So dividing by -1 is negating, which wraps as TensorFlow's does.
 */
function divisorOf(
  emit: Emitter,
  divisor: string,
  op: Op,
): { divisor: string; quotient: (dividend: string) => string } {
  const plainly = (dividend: string, by: string): string => emit.node("Div", [dividend, by])[0];
  const known = op.input(1).constant?.data as NumericArray | undefined;
  if (known?.every((value) => Number(value) !== -1)) {
    return { divisor, quotient: (dividend) => plainly(dividend, divisor) };
  }
  const compute = computeType(op.input(0).dtype);
  const [isNegation] = emit.node("Equal", [divisor, emit.cast(emit.int(-1), compute)]);
  const [safe] = emit.node("Where", [isNegation, emit.cast(emit.int(1), compute), divisor]);
  const quotient = (dividend: string): string =>
    emit.node("Where", [isNegation, emit.node("Neg", [dividend])[0], plainly(dividend, safe)])[0];
  return { divisor: safe, quotient };
}

function floorDiv(emit: Emitter, names: readonly [string, ...string[]], op: Op): string {
  const [a, b = ""] = names;
  const { dtype } = op.input(0);
  if (isFloating(dtype)) return emit.node("Floor", [emit.node("Div", [a, b])[0]])[0];
  // ONNX divides towards zero, TensorFlow's FloorDiv towards minus infinity: (a - mod(a, b)) / b has no remainder.
  const { divisor, quotient } = divisorOf(emit, b, op);
  const [remainder] = emit.node("Mod", [a, divisor]);
  return quotient(emit.node("Sub", [a, remainder])[0]);
}

/** Modulo with the divisor's sign. ONNX's Mod has it for integers; for floats it is a - b * floor(a / b). */
function floorMod(emit: Emitter, names: readonly [string, ...string[]], op: Op): string {
  const [a, b = ""] = names;
  if (!isFloating(op.input(0).dtype)) return emit.node("Mod", [a, divisorOf(emit, b, op).divisor])[0];
  const [floor] = emit.node("Floor", [emit.node("Div", [a, b])[0]]);
  return emit.node("Sub", [a, emit.node("Mul", [floor, b])[0]])[0];
}

function divNoNan(emit: Emitter, names: readonly [string, ...string[]], op: Op): string {
  const [a, b = ""] = names;
  const zero = emit.scalar(0, computeType(op.input(0).dtype));
  const [isZero] = emit.node("Equal", [b, zero]);
  return emit.node("Where", [isZero, zero, emit.node("Div", [a, b])[0]])[0];
}

/** The angle of (x, y). Quotients lose the quadrant, and have none where x is zero. */
const atan2: BuildNode = (emit, [y, x = ""], op) => {
  const compute = computeType(op.input(0).dtype);
  const zero = emit.scalar(0, compute);
  const [angle] = emit.node("Atan", [emit.node("Div", [y, x])[0]]);
  // The sign of a zero counts too.
  const isNegative = (name: string): string => {
    const [isLess] = emit.node("Less", [name, zero]);
    return emit.node("Or", [isLess, emit.node("Less", [emit.node("Reciprocal", [name])[0], zero])[0]])[0];
  };
  const isBelow = isNegative(y);
  const signed = (value: number): string =>
    emit.node("Where", [isBelow, emit.scalar(-value, compute), emit.scalar(value, compute)])[0];
  const isLeft = isNegative(x);
  const [turned] = emit.node("Where", [isLeft, emit.node("Add", [angle, signed(Math.PI)])[0], angle]);
  const [isOnAxis] = emit.node("And", [
    emit.node("Equal", [x, zero])[0],
    emit.node("Not", [emit.node("IsNaN", [y])[0]])[0],
  ]);
  const [isOrigin] = emit.node("Equal", [y, zero]);
  const [origin] = emit.node("Where", [isLeft, signed(Math.PI), y]);
  const [upright] = emit.node("Where", [isOrigin, origin, signed(Math.PI / 2)]);
  return emit.node("Where", [isOnAxis, upright, turned])[0];
};

/** `build` where the first operand is not zero, else zero. */
const unlessZero =
  (build: BuildNode, index: 0 | 1): BuildNode =>
  (emit, names, op) => {
    const zero = emit.scalar(0, computeType(op.input(0).dtype));
    const [isZero] = emit.node("Equal", [names[index] ?? "", zero]);
    return emit.node("Where", [isZero, zero, build(emit, names, op)])[0];
  };

const timesLog: BuildNode = (emit, [x, y = ""]) => emit.node("Mul", [x, emit.node("Log", [y])[0]])[0];

const timesLog1p: BuildNode = (emit, [x, y = ""], op) => emit.node("Mul", [x, log1p(emit, [y], op)])[0];

const rsqrt: BuildNode = (emit, [x]) => emit.node("Reciprocal", [emit.node("Sqrt", [x])[0]])[0];
const square: BuildNode = (emit, [x]) => emit.node("Mul", [x, x])[0];
const squaredDifference: BuildNode = (emit, names) => square(emit, emit.node("Sub", names), undefined as never);

function addN(op: Op): TensorValue {
  const operands = op.inputs as readonly [TensorValue, ...TensorValue[]];
  return elementwise(op.emit, operands, (names) => names.reduce((sum, name) => op.emit.node("Add", [sum, name])[0]));
}

const erfc: BuildNode = (emit, [x], op) =>
  emit.node("Sub", [emit.scalar(1, computeType(op.input(0).dtype)), emit.node("Erf", [x])[0]])[0];

const expm1: BuildNode = (emit, [x], op) =>
  emit.node("Sub", [emit.node("Exp", [x])[0], emit.scalar(1, computeType(op.input(0).dtype))])[0];

const log1p: BuildNode = (emit, [x], op) =>
  emit.node("Log", [emit.node("Add", [x, emit.scalar(1, computeType(op.input(0).dtype))])[0]])[0];

/** min(max(x, low), high); the bounds broadcast. */
function clipByValue(emit: Emitter, [x, low = "", high = ""]: readonly [string, ...string[]]): string {
  return emit.node("Min", [emit.node("Max", [x, low])[0], high])[0];
}

/** Remainder with the dividend's sign. */
const truncateMod: BuildNode = (emit, [a, b = ""], op) => {
  const divisor = isFloating(op.input(0).dtype) ? b : divisorOf(emit, b, op).divisor;
  return emit.node("Mod", [a, divisor], { fmod: 1 })[0];
};

/** TensorFlow raises integers exactly; ONNX Runtime's Pow does too for int32 and int64. */
const pow: Lowering = (op) =>
  inOneLayout(op.emit, [op.input(0), op.input(1)], op.input(0).dtype, ([base, exponent = ""]) => {
    const { dtype } = op.input(0);
    const [power] = op.emit.node("Pow", [toCompute(op.emit, base, dtype), toCompute(op.emit, exponent, dtype)]);
    return fromCompute(op.emit, power, dtype);
  });

const add = arithmetic(onnx("Add"), (a, b) => a + b);
const division: BuildNode = (emit, names, op) => {
  const [a, b = ""] = names;
  return isFloating(op.input(0).dtype) ? emit.node("Div", names)[0] : divisorOf(emit, b, op).quotient(a);
};

export const ARITHMETIC: LoweringTable = {
  Abs: arithmetic(onnx("Abs"), Math.abs),
  Acos: arithmetic(floatingOnly(onnx("Acos"))),
  Acosh: arithmetic(floatingOnly(onnx("Acosh"))),
  Add: add,
  AddN: addN,
  AddV2: add,
  Asin: arithmetic(floatingOnly(onnx("Asin"))),
  Asinh: arithmetic(floatingOnly(onnx("Asinh"))),
  Atan2: arithmetic(floatingOnly(atan2)),
  Atan: arithmetic(floatingOnly(onnx("Atan"))),
  Atanh: arithmetic(floatingOnly(onnx("Atanh"))),
  Ceil: arithmetic(floatingOnly(onnx("Ceil"))),
  ClipByValue: arithmetic(clipByValue),
  Cos: arithmetic(floatingOnly(onnx("Cos"))),
  Cosh: arithmetic(floatingOnly(onnx("Cosh"))),
  Div: arithmetic(division),
  DivNoNan: arithmetic(floatingOnly(divNoNan)),
  Erf: arithmetic(floatingOnly(onnx("Erf"))),
  Erfc: arithmetic(floatingOnly(erfc)),
  Exp: arithmetic(floatingOnly(onnx("Exp"))),
  Expm1: arithmetic(floatingOnly(expm1)),
  Floor: arithmetic(floatingOnly(onnx("Floor"))),
  FloorDiv: arithmetic(floorDiv, (a, b) => Math.floor(a / b)),
  FloorMod: arithmetic(floorMod),
  Inv: arithmetic(floatingOnly(onnx("Reciprocal"))),
  Log1p: arithmetic(floatingOnly(log1p)),
  Log: arithmetic(floatingOnly(onnx("Log"))),
  Maximum: arithmetic(onnx("Max"), Math.max),
  Minimum: arithmetic(onnx("Min"), Math.min),
  Mod: arithmetic(truncateMod),
  MulNoNan: arithmetic(floatingOnly(unlessZero(onnx("Mul"), 1))),
  Mul: arithmetic(onnx("Mul"), (a, b) => a * b),
  Neg: arithmetic(onnx("Neg"), (a) => -a),
  Pow: pow,
  RealDiv: arithmetic(floatingOnly(division), (a, b) => a / b),
  Reciprocal: arithmetic(floatingOnly(onnx("Reciprocal"))),
  Rint: arithmetic(floatingOnly(onnx("Round"))),
  Round: arithmetic(floatingOnly(onnx("Round"))),
  Rsqrt: arithmetic(floatingOnly(rsqrt), (a) => 1 / Math.sqrt(a)),
  Sign: arithmetic(onnx("Sign")),
  Sin: arithmetic(floatingOnly(onnx("Sin"))),
  Sinh: arithmetic(floatingOnly(onnx("Sinh"))),
  Sqrt: arithmetic(floatingOnly(onnx("Sqrt")), Math.sqrt),
  Square: arithmetic(square, (a) => a * a),
  SquaredDifference: arithmetic(squaredDifference),
  Sub: arithmetic(onnx("Sub"), (a, b) => a - b),
  Tan: arithmetic(floatingOnly(onnx("Tan"))),
  TruncateDiv: arithmetic(division),
  TruncateMod: arithmetic(truncateMod),
  Xdivy: arithmetic(floatingOnly(unlessZero(onnx("Div"), 0))),
  Xlog1py: arithmetic(floatingOnly(unlessZero(timesLog1p, 0))),
  Xlogy: arithmetic(floatingOnly(unlessZero(timesLog, 0))),
};
