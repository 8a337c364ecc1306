import { fieldLength, tagOf, varintLength, WIRE, WireWriter } from "../protobuf/protobuf-wire.ts";
import type { NumericArray, Tensor } from "./tensor.ts";
import { elementCount } from "./tensor.ts";
import { type DTypeLayout, layoutOf } from "./proto-dtypes.ts";

/**
 * Where the elements go: `content` is `tensor_content` (one copy of memory, what clients send), `values` the repeated field
 * of the dtype (what TensorFlow Serving answers with by default). Strings always go to `string_val`.
 */
export type TensorEncoding = "content" | "values";

/** A tensor with its sizes worked out: they stand before the content on the wire. */
export interface SizedTensor {
  readonly length: number;
  write(writer: WireWriter): void;
}

/** Prepares a tensor for writing. Throws TypeError where the data does not have the shape's number of elements. */
export function sizeTensor(tensor: Tensor, encoding: TensorEncoding): SizedTensor {
  const { data, shape } = tensor;
  if (data.length !== elementCount(shape)) throw new TypeError("the tensor's data has not the length of its shape");
  const layout = layoutOf(tensor.dtype);
  const shapeLength = lengthOfShape(shape);
  const body = sizeBody(data, layout, encoding);
  const headLength = 1 + varintLength(layout.code) + fieldLength(2, shapeLength);
  return {
    length: headLength + body.length,
    write: (writer) => {
      writer.varint(tagOf(1, WIRE.varint));
      writer.varint(layout.code);
      writer.varint(tagOf(2, WIRE.bytes));
      writer.varint(shapeLength);
      for (const dimension of shape) writeDimension(writer, dimension);
      body.write(writer);
    },
  };
}

/** A tensor as a TensorProto. Throws TypeError where the data does not have the shape's number of elements. */
export function writeTensorProto(tensor: Tensor, encoding: TensorEncoding): Uint8Array {
  const sized = sizeTensor(tensor, encoding);
  const writer = new WireWriter(sized.length);
  sized.write(writer);
  return writer.bytes;
}

function lengthOfShape(shape: readonly number[]): number {
  return shape.reduce((sum, dimension) => sum + fieldLength(2, lengthOfDimension(dimension)), 0);
}

/** A size of 0 is the default and is left out. */
function lengthOfDimension(dimension: number): number {
  return dimension === 0 ? 0 : 1 + varintLength(dimension);
}

function writeDimension(writer: WireWriter, dimension: number): void {
  writer.varint(tagOf(2, WIRE.bytes));
  writer.varint(lengthOfDimension(dimension));
  if (dimension === 0) return;
  writer.varint(tagOf(1, WIRE.varint));
  writer.varint(dimension);
}

function sizeBody(data: Tensor["data"], layout: DTypeLayout, encoding: TensorEncoding): SizedTensor {
  if (!ArrayBuffer.isView(data)) return sizeStrings(data, layout.field);
  if (data.length === 0) return { length: 0, write: () => undefined };
  if (encoding === "content" || layout.encoding === "fixed") {
    const field = encoding === "content" ? 4 : layout.field;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { length: fieldLength(field, bytes.length), write: (writer) => writer.field(field, bytes) };
  }
  return sizeVarints(data, layout.field);
}

function sizeStrings(strings: readonly Uint8Array[], field: number): SizedTensor {
  return {
    length: strings.reduce((sum, bytes) => sum + fieldLength(field, bytes.length), 0),
    write: (writer) => {
      for (const bytes of strings) writer.field(field, bytes);
    },
  };
}

function sizeVarints(data: NumericArray, field: number): SizedTensor {
  let contentLength = 0;
  for (const value of data) contentLength += signedLength(value);
  return {
    length: fieldLength(field, contentLength),
    write: (writer) => {
      writer.varint(tagOf(field, WIRE.bytes));
      writer.varint(contentLength);
      for (const value of data) {
        if (typeof value === "number" && value >= 0) writer.varint(value);
        else writer.varint64(BigInt(value));
      }
    },
  };
}

/** Negative numbers are sign-extended to 64 bits and take ten bytes. */
function signedLength(value: number | bigint): number {
  if (value < 0) return 10;
  if (value <= Number.MAX_SAFE_INTEGER) return varintLength(Number(value));
  return Math.ceil(BigInt(value).toString(2).length / 7);
}
