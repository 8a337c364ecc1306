// Constant folding of elementwise arithmetic: it keeps computed shapes and folded batch normalizations known to the lowering.

import { elementCount, type NumericArray } from "@cloister/encoding/tensor";
import { newArray } from "../tensor/dtype.ts";
import { broadcastShapes, knownElements, type TensorValue } from "./value.ts";

const MAX_FOLDED_ELEMENTS = 2 ** 20;

export type Arithmetic = (a: number, b: number) => number;

/** What the op gives for known operands, or `undefined` where it has to be computed at run time. */
export function foldArithmetic(calculate: Arithmetic, operands: readonly TensorValue[]): TensorValue | undefined {
  const [a, b = a] = operands;
  if (!a || !b) return undefined;
  const { dtype } = a;
  if (!a.constant || !b.constant || (dtype !== "float" && dtype !== "double" && dtype !== "int32" && dtype !== "int64"))
    return undefined;
  const shape = broadcastShapes(a.constant.shape, b.constant.shape);
  if (!shape || elementCount(shape) > MAX_FOLDED_ELEMENTS) return undefined;
  const left = indexer(a.constant.shape, shape);
  const right = indexer(b.constant.shape, shape);
  const result = newArray(dtype, elementCount(shape));
  for (let i = 0; i < result.length; i++) {
    const x = Number((a.constant.data as NumericArray)[left(i)]);
    const y = Number((b.constant.data as NumericArray)[right(i)]);
    const value = calculate(x, y);
    // Beyond 2^53, and for what does not exist (division by zero), run time decides.
    if (dtype === "int64" && !Number.isSafeInteger(value)) return undefined;
    if (dtype === "int32" && (value | 0) !== value) return undefined;
    result[i] = (dtype === "int64" ? BigInt(value) : value) as never;
  }
  return { kind: "tensor", dtype, shape, constant: { dtype, shape, data: result } };
}

/** For an index into `shape`, the index into an operand of shape `from` that is broadcast to it. */
function indexer(from: readonly number[], shape: readonly number[]): (index: number) => number {
  if (elementCount(from) === elementCount(shape)) return (index) => index;
  if (elementCount(from) === 1) return () => 0;
  const rank = shape.length;
  const strides = shape.map((_, axis) => {
    const own = axis - rank + from.length;
    return own < 0 || from[own] === 1 ? 0 : elementCount(from.slice(own + 1));
  });
  return (index) => {
    let rest = index;
    let offset = 0;
    for (let axis = rank - 1; axis >= 0; axis--) {
      const size = shape[axis] as number;
      offset += (rest % size) * (strides[axis] as number);
      rest = Math.floor(rest / size);
    }
    return offset;
  };
}

/** The elements that stay known when two integer vectors or scalars are combined. */
export function foldElements(
  calculate: Arithmetic,
  operands: readonly TensorValue[],
): readonly (number | undefined)[] | undefined {
  const [a, b = a] = operands;
  if (!a || !b || (a.dtype !== "int32" && a.dtype !== "int64")) return undefined;
  const left = knownElements(a);
  const right = knownElements(b);
  if (!left || !right) return undefined;
  const length = Math.max(left.length, right.length);
  return Array.from({ length }, (_, i) => {
    const x = left[left.length === 1 ? 0 : i];
    const y = right[right.length === 1 ? 0 : i];
    const value = x === undefined || y === undefined ? undefined : calculate(x, y);
    return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
  });
}
