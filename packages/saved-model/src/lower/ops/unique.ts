import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { elementsOf, fromElements } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

/** Rows of a tensor along its first axis, as keys that are equal where all their elements are. */
function rowKeys(tensor: Tensor): { keys: readonly (string | number | bigint)[]; width: number } {
  const elements = elementsOf(tensor);
  const [rows = 0, ...rest] = tensor.shape;
  const width = elementCount(rest);
  if (width === 1) return { keys: elements, width };
  const keys = Array.from({ length: rows }, (_, row) => {
    // A length before each text keeps "a", "bc" from "ab", "c".
    const own = elements.slice(row * width, (row + 1) * width).map(String);
    return own.map((each) => `${each.length}:${each}`).join("");
  });
  return { keys, width };
}

/**
 * Values (or rows) in order of their first appearance, for each element which of them it is, and with `counts` how often each is there.
 * Of the axes only the first one is taken.
 */
function unique(counts: boolean): Lowering {
  return hostOp(
    (op) => {
      const { dtype, shape } = op.input(0);
      const index = op.attributes.dtype("out_idx") ?? "int32";
      const results = [
        { dtype, shape: shape && [-1, ...shape.slice(1)] },
        { dtype: index, shape: shape && shape.slice(0, 1) },
      ];
      return counts ? [...results, { dtype: index, shape: [-1] }] : results;
    },
    (op) => {
      const index = op.attributes.dtype("out_idx") ?? "int32";
      return ([value, axes]) => {
        const tensor = value as Tensor;
        const [axis = 0] = axes ? elementsOf(axes).map(Number) : [];
        const isFirst = axis === 0 || axis === -tensor.shape.length;
        if (!isFirst || (tensor.shape.length !== 1 && !axes?.data.length)) return refuse("unique values of that axis");
        const { keys, width } = rowKeys(tensor);
        const places = new Map<string | number | bigint, number>();
        const firsts: number[] = [];
        const found: number[] = [];
        const which = keys.map((key, row) => {
          const place = places.get(key) ?? firsts.push(row) - 1;
          places.set(key, place);
          found[place] = (found[place] ?? 0) + 1;
          return place;
        });
        const integers = (values: readonly number[]): Tensor =>
          fromElements(index, [values.length], index === "int64" ? values.map(BigInt) : values);
        const data = firsts.flatMap((row) => Array.from<unknown>(tensor.data.slice(row * width, (row + 1) * width)));
        const shape = [firsts.length, ...tensor.shape.slice(1)];
        const values = { dtype: tensor.dtype, shape, data: packed(tensor, data) };
        return [values, integers(which), ...(counts ? [integers(found)] : [])];
      };
    },
  );
}

/** Elements in an array of the tensor's own kind. */
function packed({ dtype, data }: Tensor, elements: readonly unknown[]): Tensor["data"] {
  if (dtype === "string") return elements as readonly Uint8Array[];
  const { constructor } = data as NumericArray;
  return (constructor as unknown as { from(values: readonly unknown[]): NumericArray }).from(elements);
}

export const UNIQUE: LoweringTable = {
  Unique: unique(false),
  UniqueV2: unique(false),
  UniqueWithCounts: unique(true),
  UniqueWithCountsV2: unique(true),
};
