import type { DType, Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import { inputInvalid } from "./input-error.ts";

const MAGIC = "\u0093NUMPY";
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_RANK = 32;

const DTYPES: Readonly<Record<string, DType>> = {
  "<f4": "float",
  "<f8": "double",
  "<f2": "half",
  "<i8": "int64",
  "<i4": "int32",
  "<i2": "int16",
  "|i1": "int8",
  "<u8": "uint64",
  "<u4": "uint32",
  "<u2": "uint16",
  "|u1": "uint8",
  "|b1": "bool",
};

/**
 * Reads a NumPy array file (format 1 to 3, row-major, little endian, numbers). Throws INPUT_INVALID. Source: NumPy
 * Enhancement Proposal 1 and numpy.lib.format.
 */
export function readNpy(bytes: Uint8Array): Tensor {
  const { header, dataAt } = readHeader(bytes);
  const code = /'descr': *'([^']{1,8})'/.exec(header)?.[1] ?? "";
  const dtype = DTYPES[code];
  if (dtype === undefined) throw inputInvalid("the .npy file holds no little-endian numbers");
  if (!/'fortran_order': *False/.test(header)) throw inputInvalid("the .npy file is column-major");
  const shape = readShape(/'shape': *\(([0-9, ]*)\)/.exec(header)?.[1]);
  const layout = layoutOf(dtype);
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  if (count * layout.size !== bytes.length - dataAt)
    throw inputInvalid("the .npy file is not as long as its shape says");
  // A copy, so that the elements are aligned.
  const { buffer } = Uint8Array.from(bytes.subarray(dataAt));
  const data = layout.view?.(buffer, 0, count);
  if (data === undefined) throw inputInvalid("the .npy file holds no numbers");
  return { dtype, shape, data };
}

function readHeader(bytes: Uint8Array): { header: string; dataAt: number } {
  const magic = String.fromCodePoint(...bytes.subarray(0, 6));
  const major = bytes[6] ?? 0;
  if (magic !== MAGIC || major < 1 || major > 3 || bytes.length < 12) throw inputInvalid("it is no .npy file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = major === 1 ? 10 : 12;
  if (length > MAX_HEADER_BYTES || start + length > bytes.length)
    throw inputInvalid("the .npy header is cut or too long");
  return { header: new TextDecoder("latin1").decode(bytes.subarray(start, start + length)), dataAt: start + length };
}

function readShape(text: string | undefined): number[] {
  if (text === undefined) throw inputInvalid("the .npy header names no shape");
  const parts = text.split(",").map((part) => part.trim());
  const shape = parts.filter((part) => part !== "").map(Number);
  if (shape.length > MAX_RANK || !shape.every(Number.isSafeInteger)) throw inputInvalid("the .npy shape is broken");
  return shape;
}
