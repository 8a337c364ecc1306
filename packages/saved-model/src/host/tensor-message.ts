// Tensors inside of strings, as TensorProto messages.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type TensorProto, TensorProtoSchema } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_pb";
import { TensorShapeProtoSchema } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_shape_pb";
import { asBuffer } from "@cloister/encoding";
import type { DType, NumericArray, Tensor } from "@cloister/encoding/tensor";
import { decodeTensor } from "../tensor/decode.ts";
import { DTYPES, dtypeOf } from "../tensor/dtype.ts";
import { strings } from "./elements.ts";
import { refuse } from "./refusal.ts";

function readMessage(bytes: Uint8Array): TensorProto {
  try {
    return fromBinary(TensorProtoSchema, bytes);
  } catch {
    return refuse("a string is no TensorProto message");
  }
}

/**
 * The tensor of a message.
 * @throws HostRefusal where it holds another dtype, or not what it says
 */
export function readTensor(bytes: Uint8Array, dtype: DType): Tensor {
  const message = readMessage(bytes);
  if (dtypeOf(message.dtype) !== dtype) return refuse("a message holds a tensor of another dtype");
  try {
    return decodeTensor(message, "the message");
  } catch {
    return refuse("a message does not hold the tensor that it says");
  }
}

/** The tensor as a message. */
export function writeTensor(tensor: Tensor): Uint8Array {
  const { dtype, shape, data } = tensor;
  const tensorShape = create(TensorShapeProtoSchema, { dim: shape.map((size) => ({ size: BigInt(size) })) });
  const content =
    dtype === "string" ? { stringVal: [...strings(tensor)] } : { tensorContent: asBytes(data as NumericArray) };
  return toBinary(
    TensorProtoSchema,
    create(TensorProtoSchema, { dtype: DTYPES[dtype].number, tensorShape, ...content }),
  );
}

function asBytes({ buffer, byteOffset, byteLength }: NumericArray): Uint8Array {
  return asBuffer(new Uint8Array(buffer, byteOffset, byteLength));
}
