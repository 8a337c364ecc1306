import { asBuffer } from "@cloister/encoding";
import { toBase64 } from "@cloister/encoding/base64";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { callError } from "../errors.ts";
import { formatDouble, formatFloat } from "./json-numbers.ts";

/** Outputs of dtype string with this ending go out as base64. */
const BYTES_SUFFIX = "_bytes";

/** A tensor as JSON: nested lists, or with `row` that row of it. Throws UNIMPLEMENTED for dtypes that JSON cannot carry. */
export function tensorText(tensor: Tensor, alias: string, row?: number): string {
  const write = elementWriter(tensor, alias);
  if (row === undefined) return nested(tensor.shape, 0, write);
  const shape = tensor.shape.slice(1);
  return nested(shape, row * elementCount(shape), write);
}

function nested(shape: readonly number[], offset: number, write: (index: number) => string): string {
  const [size, ...rest] = shape;
  if (size === undefined) return write(offset);
  const stride = elementCount(rest);
  let text = "[";
  for (let index = 0; index < size; index++) {
    if (index > 0) text += ", ";
    text += rest.length === 0 ? write(offset + index) : nested(rest, offset + index * stride, write);
  }
  return `${text}]`;
}

function elementWriter({ dtype, data }: Tensor, alias: string): (index: number) => string {
  switch (dtype) {
    case "float":
      return (index) => formatFloat((data as Float32Array)[index] ?? 0);
    case "double":
      return (index) => formatDouble((data as Float64Array)[index] ?? 0);
    case "bool":
      return (index) => (data[index] === 1 ? "true" : "false");
    case "half":
    case "bfloat16":
      throw callError("UNIMPLEMENTED", `Unsupported tensor type: DT_${dtype.toUpperCase()}`);
    case "string": {
      const strings = data as readonly Uint8Array[];
      const at = (index: number): Uint8Array => strings[index] ?? new Uint8Array(0);
      return alias.endsWith(BYTES_SUFFIX)
        ? (index) => `{ "b64": "${toBase64(at(index))}" }`
        : (index) => JSON.stringify(asBuffer(at(index)).toString());
    }
    default:
      return (index) => String(data[index]);
  }
}
