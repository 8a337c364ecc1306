import type { DType, Tensor } from "@cloister/encoding/tensor";
import { newArray } from "../tensor/dtype.ts";

/** A scalar as a map key: byte strings as Latin-1 text, 64-bit integers as bigint, all else as number. */
export type Element = string | number | bigint;

/** The elements of a tensor as scalars. */
export function elementsOf({ dtype, data }: Tensor): Element[] {
  if (dtype === "string") return (data as readonly Uint8Array[]).map(latin1);
  return Array.from(data as Float32Array | BigInt64Array as ArrayLike<number | bigint>);
}

/** The tensor with these elements. */
export function fromElements(dtype: DType, shape: readonly number[], elements: readonly Element[]): Tensor {
  if (dtype === "string") return { dtype, shape, data: elements.map((element) => fromLatin1(String(element))) };
  const data = newArray(dtype, elements.length);
  for (const [index, element] of elements.entries()) data[index] = element as never;
  return { dtype, shape, data };
}

/** Bytes as text with one character each: nothing is lost, whatever they are. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function fromLatin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** The elements of an integer tensor as numbers. */
export function integers({ data }: Tensor): number[] {
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

export function strings({ data }: Tensor): readonly Uint8Array[] {
  return data as readonly Uint8Array[];
}

export function stringTensor(shape: readonly number[], data: readonly Uint8Array[]): Tensor {
  return { dtype: "string", shape, data };
}

export function int64Tensor(shape: readonly number[], values: readonly (number | bigint)[]): Tensor {
  return { dtype: "int64", shape, data: BigInt64Array.from(values, BigInt) };
}
