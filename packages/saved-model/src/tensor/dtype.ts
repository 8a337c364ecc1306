import type { DType, NumericArray } from "@cloister/encoding/tensor";
import { fault } from "../error.ts";

interface DTypeFacts {
  /** The number in TensorFlow's types.proto. */
  readonly number: number;
  /** Bytes an element, 0 for strings. */
  readonly bytes: number;
  /** The element type's number in onnx.proto (TensorProto.DataType). */
  readonly onnx: number;
}

export const DTYPES: Readonly<Record<DType, DTypeFacts>> = {
  float: { number: 1, bytes: 4, onnx: 1 },
  double: { number: 2, bytes: 8, onnx: 11 },
  int32: { number: 3, bytes: 4, onnx: 6 },
  uint8: { number: 4, bytes: 1, onnx: 2 },
  int16: { number: 5, bytes: 2, onnx: 5 },
  int8: { number: 6, bytes: 1, onnx: 3 },
  string: { number: 7, bytes: 0, onnx: 8 },
  int64: { number: 9, bytes: 8, onnx: 7 },
  bool: { number: 10, bytes: 1, onnx: 9 },
  bfloat16: { number: 14, bytes: 2, onnx: 16 },
  uint16: { number: 17, bytes: 2, onnx: 4 },
  half: { number: 19, bytes: 2, onnx: 10 },
  uint32: { number: 22, bytes: 4, onnx: 12 },
  uint64: { number: 23, bytes: 8, onnx: 13 },
};

/** Reference dtypes (TF1 variables) are the plain number plus this. */
const REF_OFFSET = 100;

const BY_NUMBER = new Map(Object.entries(DTYPES).map(([name, { number }]) => [number, name as DType]));

/** The dtype of a types.proto number (reference types count as their base), or `undefined` for resources, variants, etc. */
export function dtypeOf(number: number): DType | undefined {
  return BY_NUMBER.get(number > REF_OFFSET ? number - REF_OFFSET : number);
}

/** Quantised dtypes, with those of the integers that they hold. */
const QUANTIZED: ReadonlyMap<number, DType> = new Map([
  [11, "int8"],
  [12, "uint8"],
  [13, "int32"],
  [15, "int16"],
  [16, "uint16"],
]);

/** As `dtypeOf`, inside of a graph: there a quantised dtype is that of its integers. */
export function heldDType(number: number): DType | undefined {
  return dtypeOf(number) ?? QUANTIZED.get(number);
}

/** As `dtypeOf`, but throws TENSOR_MALFORMED where the number stands for nothing that a tensor here can hold. */
export function requireDType(number: number, where: string): DType {
  const dtype = dtypeOf(number);
  if (dtype) return dtype;
  throw fault(
    "TENSOR_MALFORMED",
    `${where} has dtype number ${number}`,
    "no tensor of that dtype can be held",
    "export the model with ordinary dtypes",
  );
}

/** A zero-filled array that fits `count` elements of a numeric dtype. */
export function newArray(dtype: Exclude<DType, "string">, count: number): NumericArray {
  return viewOf(dtype, new Uint8Array(count * DTYPES[dtype].bytes));
}

/** The little-endian `bytes` as a typed array: a view where they are aligned, else a copy. */
export function viewOf(dtype: Exclude<DType, "string">, bytes: Uint8Array): NumericArray {
  const { bytes: size } = DTYPES[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const { buffer, byteOffset } = aligned;
  const length = aligned.length / size;
  switch (dtype) {
    case "float":
      return new Float32Array(buffer, byteOffset, length);
    case "double":
      return new Float64Array(buffer, byteOffset, length);
    case "int32":
      return new Int32Array(buffer, byteOffset, length);
    case "int16":
      return new Int16Array(buffer, byteOffset, length);
    case "int8":
      return new Int8Array(buffer, byteOffset, length);
    case "int64":
      return new BigInt64Array(buffer, byteOffset, length);
    case "uint64":
      return new BigUint64Array(buffer, byteOffset, length);
    case "uint32":
      return new Uint32Array(buffer, byteOffset, length);
    case "uint16":
    case "half":
    case "bfloat16":
      return new Uint16Array(buffer, byteOffset, length);
    default:
      return aligned;
  }
}
