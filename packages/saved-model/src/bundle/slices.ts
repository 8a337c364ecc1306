// Partitioned variables: the tensor's entry lists slices, each stored under a key in OrderedCode.

import type { TensorSliceProto } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_slice_pb";
import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { concatBytes, utf8 } from "@cloister/encoding";
import { fault, type SavedModelError } from "../error.ts";
import { DTYPES, viewOf } from "../tensor/dtype.ts";

export interface StoredSlice {
  readonly slice: TensorSliceProto;
  readonly tensor: Tensor;
}

/** OrderedCode of a signed number: the shortest of 7 bits a byte, with as many leading ones as bytes. */
function orderedSigned(value: bigint): Uint8Array {
  for (let length = 1; length <= 6; length++) {
    const limit = 1n << BigInt(7 * length - 1);
    if (value < -limit || value >= limit) continue;
    const header = BigInt((0xff00 >> length) & 0xff) << BigInt(8 * (length - 1));
    const coded = BigInt.asUintN(8 * length, value) ^ header;
    return Uint8Array.from({ length }, (_, i) => Number((coded >> BigInt(8 * (length - 1 - i))) & 0xffn));
  }
  throw malformed("a slice is out of range");
}

/** OrderedCode of a string: 0 and 255 are escaped, and 0 1 ends it. */
function orderedString(bytes: Uint8Array): Uint8Array {
  const coded = [...bytes].flatMap((byte) => (byte === 0 ? [0, 0xff] : byte === 0xff ? [0xff, 0] : [byte]));
  return Uint8Array.from([...coded, 0, 1]);
}

/** The index key of a slice of the tensor `name`. */
export function sliceKey(name: string, slice: TensorSliceProto): Uint8Array {
  const rank = slice.extent.length;
  const extents = slice.extent.flatMap(({ start, hasLength }) => [
    orderedSigned(start),
    orderedSigned(hasLength.case === "length" ? hasLength.value : -1n),
  ]);
  const orderedRank = rank === 0 ? Uint8Array.of(0) : Uint8Array.of(1, rank);
  return concatBytes(Uint8Array.of(0), orderedString(utf8(name)), orderedRank, ...extents);
}

/** The whole tensor from its slices. @throws SavedModelError BUNDLE_MALFORMED where they do not tile it. */
export function assembleSlices(dtype: DType, shape: readonly number[], parts: readonly StoredSlice[]): Tensor {
  if (dtype === "string") throw malformed("a string variable is partitioned");
  const size = DTYPES[dtype].bytes;
  const whole = new Uint8Array(elementCount(shape) * size);
  let covered = 0;
  for (const { slice, tensor } of parts) {
    const box = boxOf(slice, shape);
    if (tensor.dtype !== dtype || box.some(({ length }, axis) => length !== tensor.shape[axis])) {
      throw malformed("a slice does not have the shape it says");
    }
    copyBox(whole, shape, tensor, box, size);
    covered += elementCount(tensor.shape);
  }
  if (covered !== elementCount(shape)) throw malformed("the slices do not cover the variable");
  return { dtype, shape, data: viewOf(dtype, whole) };
}

interface Extent {
  readonly start: number;
  readonly length: number;
}

function boxOf(slice: TensorSliceProto, shape: readonly number[]): Extent[] {
  if (slice.extent.length !== shape.length) throw malformed("a slice has another rank than its variable");
  return shape.map((size, axis) => {
    const extent = slice.extent[axis];
    const start = Number(extent?.start ?? 0n);
    const length = extent?.hasLength.case === "length" ? Number(extent.hasLength.value) : size;
    if (start < 0 || length < 0 || start + length > size) throw malformed("a slice reaches outside its variable");
    return { start, length };
  });
}

/** The bytes of a numeric tensor. */
function bytesOf(tensor: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.data as Uint8Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function copyBox(
  whole: Uint8Array,
  shape: readonly number[],
  part: Tensor,
  box: readonly Extent[],
  size: number,
): void {
  const source = bytesOf(part);
  forEachRow(shape, box, size, ({ inBox, inWhole, length }) => {
    whole.set(source.subarray(inBox, inBox + length), inWhole);
  });
}

/**
 * The part of a tensor that a restore op's slice specification asks for: the whole shape, then `start,length` or `-` for each
 * dimension, as in `6 4 0,3:-`.
 */
export function cutSlice(tensor: Tensor, specification: string): Tensor {
  const extents = (specification.split(" ").at(-1) ?? "").split(":");
  if (tensor.dtype === "string" || extents.length !== tensor.shape.length)
    throw malformed("a slice specification cannot be read");
  const box = tensor.shape.map((size, axis): Extent => {
    const extent = extents[axis] ?? "";
    if (extent === "-") return { start: 0, length: size };
    const [start = -1, length = -1] = /^\d+,\d+$/.test(extent) ? extent.split(",").map(Number) : [];
    if (start < 0 || start + length > size) throw malformed("a slice specification reaches outside its variable");
    return { start, length };
  });
  const size = DTYPES[tensor.dtype].bytes;
  const shape = box.map(({ length }) => length);
  const part = new Uint8Array(elementCount(shape) * size);
  const source = bytesOf(tensor);
  forEachRow(tensor.shape, box, size, ({ inBox, inWhole, length }) => {
    part.set(source.subarray(inWhole, inWhole + length), inBox);
  });
  return { dtype: tensor.dtype, shape, data: viewOf(tensor.dtype, part) };
}

/** Byte offsets of each row of a box: the last dimension is contiguous both in the box and in the whole tensor. */
function forEachRow(
  shape: readonly number[],
  box: readonly Extent[],
  size: number,
  visit: (row: { inBox: number; inWhole: number; length: number }) => void,
): void {
  const rowBytes = (box.at(-1)?.length ?? 1) * size;
  const rows = rowBytes === 0 ? 0 : elementCount(box.slice(0, -1).map(({ length }) => length));
  for (let row = 0; row < rows; row++) {
    let target = box.at(-1)?.start ?? 0;
    let stride = shape.at(-1) ?? 1;
    let rest = row;
    for (let axis = box.length - 2; axis >= 0; axis--) {
      const { start, length } = box[axis] as Extent;
      target += (start + (rest % length)) * stride;
      rest = Math.floor(rest / length);
      stride *= shape[axis] as number;
    }
    visit({ inBox: row * rowBytes, inWhole: target * size, length: rowBytes });
  }
}

function malformed(why: string): SavedModelError {
  return fault("BUNDLE_MALFORMED", "a partitioned variable cannot be read", why, "copy the model again");
}
