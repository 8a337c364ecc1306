import { toBase64 } from "@cloister/encoding/base64";
import type { Tensor } from "@cloister/encoding/tensor";
import { inputInvalid } from "../input/input-error.ts";

/** A tensor as nested JSON arrays, as the REST API takes it. 64-bit integers keep every digit; byte strings are base64 objects. */
export function tensorJson({ dtype, shape, data }: Tensor): string {
  if (dtype === "half" || dtype === "bfloat16") throw inputInvalid("JSON cannot say bit patterns of 16-bit floats");
  const texts = Array.from(data as ArrayLike<number | bigint | Uint8Array>, (value) =>
    leafJson(value, dtype === "bool"),
  );
  return nest(texts, shape);
}

function leafJson(value: number | bigint | Uint8Array, isBoolean: boolean): string {
  if (value instanceof Uint8Array) return `{"b64":"${toBase64(value)}"}`;
  // NaN and the infinities are written as TensorFlow Serving's own reader and writer do.
  return isBoolean ? String(value !== 0) : String(value);
}

/** From the innermost dimension outwards. */
function nest(leaves: readonly string[], shape: readonly number[]): string {
  let level = leaves;
  for (const [at, length] of [...shape.entries()].toReversed()) {
    const count = shape.slice(0, at).reduce((product, dimension) => product * dimension, 1);
    const below = level;
    level = Array.from({ length: count }, (_, row) => `[${below.slice(row * length, (row + 1) * length).join(",")}]`);
  }
  return level[0] ?? "[]";
}
