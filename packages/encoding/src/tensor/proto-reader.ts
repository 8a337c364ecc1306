import { EncodingError } from "../encoding-error.ts";
import { malformedWire, tagOf, WIRE, WireReader } from "../protobuf/protobuf-wire.ts";
import type { NumericArray, Tensor } from "./tensor.ts";
import { type DTypeLayout, layoutOfCode } from "./proto-dtypes.ts";
import { readValues } from "./proto-values.ts";

/** TensorFlow's own limit of dimensions. */
const MAX_RANK = 254;

export interface TensorLimits {
  /** Memory that one decoded tensor may take. A short message can claim a large one: its last value fills the rest. */
  readonly maxTensorBytes: number;
}

const DEFAULT_LIMITS: TensorLimits = { maxTensorBytes: 256 * 1024 * 1024 };
/** What an element of a string tensor is counted as, beside its bytes, which are views. */
const STRING_ELEMENT_BYTES = 64;

interface Header {
  readonly dtypeCode: number;
  readonly shape: readonly number[];
  readonly content: Uint8Array;
}

/**
 * Decodes a serialized TensorProto as TensorFlow does (specs: Tensor::FromProto). `tensor_content` wins where it is not
 * empty and must have exactly the right length; else the values of the dtype's field, the last of which fills the rest.
 * Packed and unpacked fields are read. The result's data is a view of `bytes` where its alignment allows it, else a copy.
 *
 * Throws TENSOR_PROTO_MALFORMED (bad wire format, unknown rank, negative size, wrong content length),
 * TENSOR_PROTO_DTYPE_NOT_SUPPORTED and TENSOR_PROTO_TOO_LARGE.
 */
export function readTensorProto(bytes: Uint8Array, limits: TensorLimits = DEFAULT_LIMITS): Tensor {
  const { dtypeCode, shape, content } = readHeader(bytes);
  const layout = layoutOfCode(dtypeCode);
  if (layout === undefined) throw dtypeNotSupported(dtypeCode);
  const count = boundedCount(shape, layout, limits);
  if (content.length > 0) return { dtype: layout.dtype, shape, data: readContent(content, layout, count) };
  return { dtype: layout.dtype, shape, data: readValues(bytes, layout, count) };
}

function readHeader(bytes: Uint8Array): Header {
  const reader = new WireReader(bytes);
  const shape: number[] = [];
  let dtypeCode = 0;
  let content = new Uint8Array(0);
  while (!reader.atEnd) {
    const tag = reader.readTag();
    switch (tag) {
      case tagOf(1, WIRE.varint):
        reader.readVarint();
        dtypeCode = reader.low;
        break;
      case tagOf(2, WIRE.bytes):
        readShape(reader.readBytes(), shape);
        break;
      case tagOf(4, WIRE.bytes):
        content = reader.readBytes() as Uint8Array<ArrayBuffer>;
        break;
      default:
        reader.skip(tag);
    }
  }
  return { dtypeCode, shape, content };
}

/** Appends the dimensions: a repeated sub-message merges with what was read before. */
function readShape(bytes: Uint8Array, shape: number[]): void {
  const reader = new WireReader(bytes);
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(2, WIRE.bytes)) shape.push(readDimension(reader.readBytes()));
    else if (tag === tagOf(3, WIRE.varint)) {
      reader.readVarint();
      if (reader.low !== 0 || reader.high !== 0) throw malformedWire("the rank of the tensor is unknown");
    } else reader.skip(tag);
    if (shape.length > MAX_RANK) throw malformedWire("the tensor has too many dimensions");
  }
}

function readDimension(bytes: Uint8Array): number {
  const reader = new WireReader(bytes);
  let size = 0;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.varint)) {
      reader.readVarint();
      if (reader.high >= 0x80000000) throw malformedWire("a dimension is negative");
      size = reader.high * 2 ** 32 + reader.low;
    } else reader.skip(tag);
  }
  if (!Number.isSafeInteger(size)) throw malformedWire("a dimension is out of range");
  return size;
}

function boundedCount(shape: readonly number[], layout: DTypeLayout, limits: TensorLimits): number {
  if (shape.includes(0)) return 0;
  const maxCount = limits.maxTensorBytes / (layout.size === 0 ? STRING_ELEMENT_BYTES : layout.size);
  let count = 1;
  for (const dimension of shape) {
    count *= dimension;
    if (count > maxCount) throw tooLarge(limits);
  }
  if (count > maxCount) throw tooLarge(limits);
  return count;
}

function readContent(content: Uint8Array, layout: DTypeLayout, count: number): NumericArray | Uint8Array[] {
  if (layout.view === undefined) return readStringContent(content, count);
  if (content.length !== count * layout.size) throw malformedWire("tensor_content has not the length of the shape");
  const isAligned = content.byteOffset % layout.size === 0;
  const memory = isAligned ? content : new Uint8Array(content);
  if (layout.dtype === "bool" && memory.some((byte) => byte > 1)) throw malformedWire("a bool is neither 0 nor 1");
  return layout.view(memory.buffer, memory.byteOffset, count);
}

/** Strings in `tensor_content`: the lengths of all as varints, then the bytes of all. */
function readStringContent(content: Uint8Array, count: number): Uint8Array[] {
  const reader = new WireReader(content);
  const lengths: number[] = [];
  for (let index = 0; index < count; index++) {
    reader.readVarint();
    if (reader.high !== 0) throw malformedWire("a string is longer than the message");
    lengths.push(reader.low);
  }
  const strings = lengths.map((length) => reader.take(length));
  if (!reader.atEnd) throw malformedWire("bytes follow the last string");
  return strings;
}

function dtypeNotSupported(code: number): EncodingError {
  return new EncodingError("TENSOR_PROTO_DTYPE_NOT_SUPPORTED", {
    what: `the tensor's dtype has the number ${code}`,
    why: "it is absent, or a complex, quantised, resource, variant or reference type",
    remedy: "send one of the numeric types, bool or string",
  });
}

function tooLarge(limits: TensorLimits): EncodingError {
  return new EncodingError("TENSOR_PROTO_TOO_LARGE", {
    what: "the tensor is too large",
    why: `its shape asks for more than ${limits.maxTensorBytes} bytes`,
    remedy: "send smaller batches, or raise the limit",
  });
}
