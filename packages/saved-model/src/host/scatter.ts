import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { integers } from "./elements.ts";
import { refuse } from "./refusal.ts";

/** Makes one element of two. 64-bit elements are bigint, on which the same operators work. */
export type Combine = (old: number, update: number) => number;

/** How scattered elements meet those that are there. */
export const COMBINE = {
  Add: (old, update) => old + update,
  Div: (old, update) => old / update,
  Max: (old, update) => (update > old ? update : old),
  Min: (old, update) => (update < old ? update : old),
  Mul: (old, update) => old * update,
  Sub: (old, update) => old - update,
  Update: (_, update) => update,
} satisfies Record<string, Combine>;

/** Rows of `updates` go to rows of the tensor: `indices` counts along its first axis. */
export function scatterRows(tensor: Tensor, indices: Tensor, updates: Tensor, combine: Combine): Tensor {
  return scatterBlocks(tensor, integers(indices), elementCount(tensor.shape.slice(1)), updates, combine);
}

/** The last axis of `indices` says where each slice of `updates` goes. */
export function scatterNd(tensor: Tensor, indices: Tensor, updates: Tensor, combine: Combine): Tensor {
  const depth = indices.shape.at(-1) ?? 0;
  const outer = tensor.shape.slice(0, depth);
  const flat = integers(indices);
  const places = Array.from({ length: depth === 0 ? 0 : flat.length / depth }, (_, row) =>
    outer.reduce((place, size, axis) => {
      const index = flat[row * depth + axis] as number;
      return index < 0 || index >= size ? refuse("an index is out of range") : place * size + index;
    }, 0),
  );
  return scatterBlocks(tensor, places, elementCount(tensor.shape.slice(depth)), updates, combine);
}

function scatterBlocks(
  { dtype, shape, data }: Tensor,
  places: readonly number[],
  size: number,
  updates: Tensor,
  combine: Combine,
): Tensor {
  if (dtype === "string" || updates.dtype !== dtype) return refuse("a scattered tensor is of another dtype");
  const result = data.slice() as NumericArray;
  const more = updates.data as NumericArray;
  const isScalar = more.length === 1 && places.length * size !== 1;
  if (!isScalar && more.length !== places.length * size) refuse("updates and indices differ in shape");
  for (const [row, place] of places.entries()) {
    if (place < 0 || (place + 1) * size > result.length) refuse("an index is out of range");
    for (let i = 0; i < size; i++) {
      const update = more[isScalar ? 0 : row * size + i] as number;
      result[place * size + i] = combine(result[place * size + i] as number, update) as never;
    }
  }
  return { dtype, shape, data: result };
}
