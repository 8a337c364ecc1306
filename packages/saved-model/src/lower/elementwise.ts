import type { DType } from "@cloister/encoding/tensor";
import { type Emitter, unlowerable } from "./emitter.ts";
import { broadcastShapes, type TensorValue } from "./value.ts";

/**
 * The dtype in which ONNX Runtime's CPU kernels calculate for a TensorFlow dtype. Small integers are calculated in a wider type
 * and cast back, which wraps as TensorFlow's kernels do.
 */
const COMPUTE: Readonly<Partial<Record<DType, DType>>> = {
  float: "float",
  double: "double",
  int32: "int32",
  int64: "int64",
  half: "float",
  bfloat16: "float",
  int8: "int32",
  int16: "int32",
  uint8: "int32",
  uint16: "int32",
  uint32: "int64",
};

export function computeType(dtype: DType): DType {
  return COMPUTE[dtype] ?? unlowerable(`arithmetic on ${dtype}`);
}

export function isFloating(dtype: DType): boolean {
  return computeType(dtype) === "float" || dtype === "double";
}

/** Casts the name of a `dtype` tensor to the type of calculation. */
export function toCompute(emit: Emitter, name: string, dtype: DType): string {
  const compute = computeType(dtype);
  return compute === dtype ? name : emit.cast(name, compute);
}

/** Casts a calculated result back. */
export function fromCompute(emit: Emitter, name: string, dtype: DType): string {
  return computeType(dtype) === dtype ? name : emit.cast(name, dtype);
}

/** Gets the names of the operands, all in one layout, and gives the name of the result. */
type Build = (names: readonly [string, ...string[]], compute: DType) => string;

/**
 * An op without memory of position: it runs in whatever layout its operands have. Operands broadcast. They are cast to the type
 * of calculation, and the result back to `result` (by default the operands' dtype; comparisons give bool).
 */
export function elementwise(
  emit: Emitter,
  operands: readonly [TensorValue, ...TensorValue[]],
  build: Build,
  result?: "bool",
): TensorValue {
  const { dtype } = operands[0];
  return inOneLayout(emit, operands, result ?? dtype, (names) => {
    const computed = build(
      names.map((name) => toCompute(emit, name, dtype)) as [string, ...string[]],
      computeType(dtype),
    );
    return result === "bool" ? computed : fromCompute(emit, computed, dtype);
  });
}

/** As `elementwise`, with no casts: for logic, selection and conversion. */
export function inOneLayout(
  emit: Emitter,
  operands: readonly [TensorValue, ...TensorValue[]],
  dtype: DType,
  build: (names: readonly [string, ...string[]]) => string,
): TensorValue {
  const shape = operands.map((operand) => operand.shape).reduce((a, b) => broadcastShapes(a, b));
  if (operands.some((operand) => emit.prefersChannelsFirst(operand))) {
    const names = operands.map((operand) => emit.broadcastChannelsFirst(operand));
    if (names.every((name) => name !== undefined)) {
      return { kind: "tensor", dtype, shape, channelsFirst: build(names as [string, ...string[]]) };
    }
  }
  const names = operands.map((operand) => emit.plain(operand)) as [string, ...string[]];
  return { kind: "tensor", dtype, shape, plain: build(names) };
}
