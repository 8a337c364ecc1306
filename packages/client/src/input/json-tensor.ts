import { utf8 } from "@cloister/encoding";
import { fromBase64 } from "@cloister/encoding/base64";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import { inputInvalid } from "./input-error.ts";

const MAX_RANK = 32;

/**
 * A tensor of nested arrays of numbers, booleans or texts, as TensorFlow Serving's REST API takes them; `{"instances": …}` is
 * unwrapped. Throws INPUT_INVALID for ragged arrays and values that the dtype cannot hold.
 */
export function jsonToTensor(value: unknown, dtype: DType): Tensor {
  return nestedToTensor(
    isRecord(value) && Object.keys(value).length === 1 ? (value["instances"] ?? value) : value,
    dtype,
  );
}

/** The same for an answer's outputs as `parseServingJson` gives them: with bigints, base64 objects, and texts for NaN and infinities. */
export function nestedToTensor(root: unknown, dtype: DType): Tensor {
  const shape = shapeOf(root);
  const leaves: unknown[] = [];
  collect(root, shape, 0, leaves);
  if (dtype === "string") return { dtype, shape, data: leaves.map(textOf) };
  if (dtype === "half" || dtype === "bfloat16") throw inputInvalid("JSON cannot say bit patterns of 16-bit floats");
  const data = layoutOf(dtype).allocate?.(leaves.length);
  if (data === undefined) throw inputInvalid("the type has no numbers");
  for (const [index, leaf] of leaves.entries()) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[index] = integerOf(leaf);
    else data[index] = numberOf(leaf);
    if (!isHeld(data[index], leaf, dtype)) throw inputInvalid("a number is out of the range of its type");
  }
  return { dtype, shape, data };
}

function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let level = value; Array.isArray(level); level = (level as readonly unknown[])[0]) {
    shape.push(level.length);
    if (shape.length > MAX_RANK) throw inputInvalid("the arrays are nested too deeply");
  }
  return shape;
}

function collect(value: unknown, shape: readonly number[], depth: number, leaves: unknown[]): void {
  const length = shape[depth];
  if (length === undefined) {
    if (Array.isArray(value)) throw inputInvalid("the arrays are not of one shape");
    leaves.push(value);
    return;
  }
  if (!Array.isArray(value) || value.length !== length) throw inputInvalid("the arrays are not of one shape");
  for (const member of value) collect(member, shape, depth + 1, leaves);
}

function numberOf(leaf: unknown): number {
  if (typeof leaf === "boolean") return Number(leaf);
  if (typeof leaf === "number") return leaf;
  if (leaf === "NaN" || leaf === "Infinity" || leaf === "-Infinity") return Number(leaf);
  throw inputInvalid("a value is no number");
}

function integerOf(leaf: unknown): bigint {
  if (typeof leaf === "bigint") return leaf;
  const value = numberOf(leaf);
  if (!Number.isSafeInteger(value)) throw inputInvalid("a value is no whole number that JSON holds exactly");
  return BigInt(value);
}

function textOf(leaf: unknown): Uint8Array {
  if (typeof leaf === "string") return utf8(leaf);
  const encoded = isRecord(leaf) ? leaf["b64"] : undefined;
  const bytes = typeof encoded === "string" ? fromBase64(encoded) : undefined;
  if (bytes !== undefined) return bytes;
  throw inputInvalid("a value is no text");
}

/** Integers have to arrive as they were; floats are rounded, but not to infinity. */
function isHeld(stored: number | bigint | undefined, leaf: unknown, dtype: DType): boolean {
  if (dtype === "float" || dtype === "double") return typeof leaf === "string" || Number.isFinite(stored);
  return typeof leaf === "bigint" ? stored === leaf : Number(stored) === Number(leaf);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
