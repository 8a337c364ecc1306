import type { TensorShapeProto } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_shape_pb";
import { fault } from "../error.ts";

/** No tensor of a model may be larger than this. */
const MAX_TENSOR_BYTES = 4 * 2 ** 30;
const MAX_RANK = 254;

/** Dimensions of a shape message, -1 for unknown ones, or `undefined` for unknown rank. */
export function shapeOf(proto: TensorShapeProto | undefined): number[] | undefined {
  if (!proto || proto.unknownRank) return undefined;
  if (proto.dim.length > MAX_RANK) throw malformed("it has too many dimensions");
  return proto.dim.map(({ size }) => {
    if (size < -1n || size > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("a dimension is out of range");
    return Number(size);
  });
}

/** As `shapeOf`, for a tensor that exists: every dimension is known and the elements fit in memory. */
export function staticShapeOf(proto: TensorShapeProto | undefined, bytesPerElement: number): number[] {
  const shape = proto ? shapeOf(proto) : [];
  if (!shape?.every((size) => size >= 0)) throw malformed("a stored tensor must have a known shape");
  let bytes = Math.max(bytesPerElement, 1);
  for (const size of shape) bytes *= size;
  if (bytes > MAX_TENSOR_BYTES) throw malformed("the tensor is larger than the limit");
  return shape;
}

function malformed(why: string): Error {
  return fault("TENSOR_MALFORMED", "a tensor's shape cannot be used", why, "export the model again");
}
