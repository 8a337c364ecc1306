import { DataType } from "../gen/tensorflow/core/framework/types_pb.js";
import type { DType, NumericArray } from "./tensor.ts";

/** How values of a dtype lie in their repeated field: little-endian, or as varints. */
export type ValueEncoding = "fixed" | "varint" | "bytes";

/** What the wire format says about a dtype. (types.proto, tensor.proto) */
export interface DTypeLayout {
  readonly dtype: DType;
  /** Number in the enum DataType. */
  readonly code: DataType;
  /** Field of TensorProto that holds its values. */
  readonly field: number;
  readonly encoding: ValueEncoding;
  /** Bytes of an element in `tensor_content`; 0 for strings. */
  readonly size: number;
  /** An array of zeros; `undefined` for strings. */
  readonly allocate: ((count: number) => NumericArray) | undefined;
  /** A typed view of `count` elements over memory that is aligned for them. */
  readonly view: ((buffer: ArrayBufferLike, offset: number, count: number) => NumericArray) | undefined;
}

type NumericConstructor = {
  new (count: number): NumericArray;
  new (buffer: ArrayBufferLike, offset: number, count: number): NumericArray;
  readonly BYTES_PER_ELEMENT: number;
};

function numeric(
  dtype: DType,
  code: DataType,
  field: number,
  encoding: ValueEncoding,
  Constructor: NumericConstructor,
): DTypeLayout {
  return {
    dtype,
    code,
    field,
    encoding,
    size: Constructor.BYTES_PER_ELEMENT,
    allocate: (count) => new Constructor(count),
    view: (buffer, offset, count) => new Constructor(buffer, offset, count),
  };
}

const LAYOUTS: readonly DTypeLayout[] = [
  numeric("float", DataType.DT_FLOAT, 5, "fixed", Float32Array),
  numeric("double", DataType.DT_DOUBLE, 6, "fixed", Float64Array),
  numeric("int32", DataType.DT_INT32, 7, "varint", Int32Array),
  numeric("uint8", DataType.DT_UINT8, 7, "varint", Uint8Array),
  numeric("int16", DataType.DT_INT16, 7, "varint", Int16Array),
  numeric("int8", DataType.DT_INT8, 7, "varint", Int8Array),
  {
    dtype: "string",
    code: DataType.DT_STRING,
    field: 8,
    encoding: "bytes",
    size: 0,
    allocate: undefined,
    view: undefined,
  },
  numeric("int64", DataType.DT_INT64, 10, "varint", BigInt64Array),
  numeric("bool", DataType.DT_BOOL, 11, "varint", Uint8Array),
  numeric("bfloat16", DataType.DT_BFLOAT16, 13, "varint", Uint16Array),
  numeric("uint16", DataType.DT_UINT16, 7, "varint", Uint16Array),
  numeric("half", DataType.DT_HALF, 13, "varint", Uint16Array),
  numeric("uint32", DataType.DT_UINT32, 16, "varint", Uint32Array),
  numeric("uint64", DataType.DT_UINT64, 17, "varint", BigUint64Array),
];

const BY_CODE = new Map<number, DTypeLayout>(LAYOUTS.map((layout) => [layout.code, layout]));
const BY_DTYPE = new Map(LAYOUTS.map((layout) => [layout.dtype, layout]));

/** The layout of a DataType number; `undefined` for complex, quantised, resource, variant and reference types. */
export function layoutOfCode(code: number): DTypeLayout | undefined {
  return BY_CODE.get(code);
}

export function layoutOf(dtype: DType): DTypeLayout {
  const layout = BY_DTYPE.get(dtype);
  if (layout === undefined) throw new TypeError("not a dtype");
  return layout;
}

/** Encoding of the elements of each repeated field; of the complex fields too, which are checked and then ignored. */
export const FIELD_ENCODING: ReadonlyMap<number, { readonly encoding: ValueEncoding; readonly size: number }> = new Map(
  [
    [5, { encoding: "fixed", size: 4 }],
    [6, { encoding: "fixed", size: 8 }],
    [7, { encoding: "varint", size: 0 }],
    [8, { encoding: "bytes", size: 0 }],
    [9, { encoding: "fixed", size: 4 }],
    [10, { encoding: "varint", size: 0 }],
    [11, { encoding: "varint", size: 0 }],
    [12, { encoding: "fixed", size: 8 }],
    [13, { encoding: "varint", size: 0 }],
    [16, { encoding: "varint", size: 0 }],
    [17, { encoding: "varint", size: 0 }],
  ],
);
