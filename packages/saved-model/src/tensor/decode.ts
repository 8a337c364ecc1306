import type { TensorProto } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_pb";
import { type DType, elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { fault } from "../error.ts";
import { DTYPES, newArray, requireDType, viewOf } from "./dtype.ts";
import { staticShapeOf } from "./shape.ts";

/** Elements that a tensor may have when its message holds fewer values, so that a short message cannot fill the memory. */
const MAX_FILLED_ELEMENTS = 64 * 2 ** 20;

/**
 * The tensor of a message. `tensor_content` is taken as a view where its alignment allows. Fewer values than elements repeat
 * the last one (none: zeros); surplus values are ignored, as TensorFlow does.
 *
 * @param held the dtype of what the tensor holds, where its own is a quantised one
 * @throws SavedModelError TENSOR_MALFORMED
 */
export function decodeTensor(proto: TensorProto, where: string, held?: DType): Tensor {
  const dtype = held ?? requireDType(proto.dtype, where);
  const shape = staticShapeOf(proto.tensorShape, DTYPES[dtype].bytes);
  const count = elementCount(shape);
  if (dtype === "string") return { dtype, shape, data: decodeStrings(proto, count, where) };
  const content = proto.tensorContent;
  if (content.length > 0) {
    if (content.length !== count * DTYPES[dtype].bytes) throw malformed(where, "its content does not fit its shape");
    return { dtype, shape, data: viewOf(dtype, content) };
  }
  const values = valuesOf(proto, dtype);
  if (count > Math.max(values.length, MAX_FILLED_ELEMENTS)) throw malformed(where, "it repeats a value too often");
  return { dtype, shape, data: fill(newArray(dtype, count), values) };
}

/** Numbers in types.proto, with the dtype of the parts. */
const COMPLEX: ReadonlyMap<number, "float" | "double"> = new Map([
  [8, "float"],
  [18, "double"],
]);

/** The dtype of the parts of complex numbers; `undefined` for the number of another dtype. */
export function complexPart(number: number): "float" | "double" | undefined {
  return COMPLEX.get(number);
}

/** A tensor of complex numbers as its two parts. */
export interface ComplexTensor {
  readonly real: Tensor;
  readonly imaginary: Tensor;
}

/** The two parts of complex numbers that lie side by side in `values`; the last number fills what is missing. */
export function complexTensorOf(
  dtype: "float" | "double",
  shape: readonly number[],
  values: ArrayLike<number | bigint>,
): ComplexTensor {
  const count = elementCount(shape);
  const part = (offset: 0 | 1): Tensor => {
    const own = Array.from({ length: Math.min(values.length / 2, count) }, (_, at) => values[2 * at + offset] ?? 0);
    return { dtype, shape, data: fill(newArray(dtype, count), own) };
  };
  return { real: part(0), imaginary: part(1) };
}

/** The two parts of a tensor of complex numbers; `undefined` for other tensors. */
export function decodeComplexTensor(proto: TensorProto, where: string): ComplexTensor | undefined {
  const dtype = complexPart(proto.dtype);
  if (!dtype) return undefined;
  const shape = staticShapeOf(proto.tensorShape, 2 * DTYPES[dtype].bytes);
  const count = elementCount(shape);
  const { length } = proto.tensorContent;
  const values =
    length > 0
      ? (viewOf(dtype, proto.tensorContent) as Float64Array)
      : dtype === "float"
        ? proto.scomplexVal
        : proto.dcomplexVal;
  const given = values.length / 2;
  if (length > 0 && length !== 2 * count * DTYPES[dtype].bytes)
    throw malformed(where, "its content does not fit its shape");
  if (count > Math.max(given, MAX_FILLED_ELEMENTS)) throw malformed(where, "it repeats a value too often");
  return complexTensorOf(dtype, shape, values);
}

function valuesOf(proto: TensorProto, dtype: Exclude<DType, "string">): readonly (number | bigint | boolean)[] {
  switch (dtype) {
    case "float":
      return proto.floatVal;
    case "double":
      return proto.doubleVal;
    case "int64":
      return proto.int64Val;
    case "uint64":
      return proto.uint64Val;
    case "uint32":
      return proto.uint32Val;
    case "bool":
      return proto.boolVal;
    case "half":
    case "bfloat16":
      return proto.halfVal;
    default:
      return proto.intVal;
  }
}

function fill(array: NumericArray, values: readonly (number | bigint | boolean)[]): NumericArray {
  const given = Math.min(values.length, array.length);
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) {
    for (let i = 0; i < given; i++) array[i] = values[i] as bigint;
    if (given > 0) array.fill(array[given - 1] as bigint, given);
    return array;
  }
  for (let i = 0; i < given; i++) array[i] = Number(values[i]);
  if (given > 0) array.fill(array[given - 1] as number, given);
  return array;
}

function decodeStrings(proto: TensorProto, count: number, where: string): Uint8Array[] {
  if (proto.tensorContent.length > 0) throw malformed(where, "strings in tensor_content are not accepted in a graph");
  const values = proto.stringVal;
  if (count > Math.max(values.length, 2 ** 20)) throw malformed(where, "it repeats a value too often");
  const last = values.at(-1) ?? new Uint8Array();
  return Array.from({ length: count }, (_, i) => values[i] ?? last);
}

function malformed(where: string, why: string): Error {
  return fault("TENSOR_MALFORMED", `the tensor of ${where} cannot be read`, why, "export the model again");
}
