/** In-memory tensors, as every part of the system passes them. */

/** TensorFlow's dtypes that this system can hold, by their public names (types.proto without `DT_`, lower case). */
export type DType =
  | "float"
  | "double"
  | "int32"
  | "uint8"
  | "int16"
  | "int8"
  | "string"
  | "int64"
  | "bool"
  | "bfloat16"
  | "uint16"
  | "half"
  | "uint32"
  | "uint64";

export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/**
 * A dense row-major tensor. `data` has exactly the product of `shape` elements.
 *
 * | dtype | data |
 * | --- | --- |
 * | bool | Uint8Array of 0 and 1 |
 * | half, bfloat16 | Uint16Array of bit patterns |
 * | int64, uint64 | BigInt64Array, BigUint64Array |
 * | string | an array of byte strings |
 * | the rest | the typed array of that name |
 */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: NumericArray | readonly Uint8Array[];
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
