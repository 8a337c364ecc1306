import type { DType, NumericArray } from "@cloister/encoding/tensor";
import type { Tensor as OrtTensor } from "onnxruntime-node";

/** ONNX Runtime's names. Strings do not cross its JavaScript interface, 16-bit floats as floats. */
const ORT_TYPES: Readonly<Partial<Record<DType, OrtTensor.Type>>> = {
  float: "float32",
  double: "float64",
  int32: "int32",
  int64: "int64",
  int16: "int16",
  int8: "int8",
  uint8: "uint8",
  uint16: "uint16",
  uint32: "uint32",
  uint64: "uint64",
  bool: "bool",
};

export function ortType(dtype: DType): OrtTensor.Type | undefined {
  return ORT_TYPES[dtype];
}

const ARRAYS: Readonly<
  Record<Exclude<DType, "string">, new (buffer: ArrayBufferLike, offset: number, length: number) => NumericArray>
> = {
  float: Float32Array,
  double: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  half: Uint16Array,
  bfloat16: Uint16Array,
};

/** Whether `data` is the kind of array that holds `dtype`. */
export function holds(dtype: DType, data: unknown): data is NumericArray {
  return dtype !== "string" && data instanceof ARRAYS[dtype];
}

/** The same memory as the array type that this system uses for `dtype` (half precision: bit patterns). */
export function asTensorData(dtype: Exclude<DType, "string">, data: ArrayBufferView): NumericArray {
  const Type = ARRAYS[dtype];
  if (data instanceof Type) return data;
  const bytesPerElement = (Type as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
  return new Type(data.buffer, data.byteOffset, data.byteLength / bytesPerElement);
}
