// Strings that only change places. Ops that move elements (Reshape, Gather, Concat and so on) run on numbers in their stead: on
// an int64 tensor that holds where each element is. The strings are fetched afterwards, all at once.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { refuse } from "./refusal.ts";
import { type HostCall } from "./call.ts";
import { int64Tensor, integers, strings, stringTensor } from "./elements.ts";

/** Positions of the elements of `count` string tensors, counted through all of them. */
export function indexCall(count: number): HostCall {
  return {
    op: "StringIndices",
    node: `${count} string tensors`,
    run: (inputs: readonly Tensor[]) => {
      let next = 0;
      return inputs.map(({ shape }) => {
        const first = next;
        next += elementCount(shape);
        return int64Tensor(
          shape,
          Array.from({ length: next - first }, (_, index) => first + index),
        );
      });
    },
  };
}

/** The strings at the positions that the last operand holds. */
export function pickCall(count: number): HostCall {
  return {
    op: "StringPick",
    node: `${count} string tensors`,
    run: (inputs: readonly Tensor[]) => {
      const pool = inputs.slice(0, count).flatMap(strings);
      const indices = inputs[count] as Tensor;
      const picked = integers(indices).map((index) => pool[index] ?? refuse("an index is out of range"));
      return [stringTensor(indices.shape, picked)];
    },
  };
}
