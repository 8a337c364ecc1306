// Random numbers of a generator whose state is a variable: counter (two words of 64 bits) and key.

import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { elementsOf, int64Tensor, integers } from "../host/elements.ts";
import {
  type Distribution,
  integersBetween,
  MAX_ELEMENTS,
  normal,
  type Seed,
  truncatedNormal,
  uniform,
} from "../host/distributions.ts";
import { refuse } from "../host/refusal.ts";
import type { ModelState } from "../host/state.ts";
import { u64 } from "../host/words.ts";
import { type Type, unlowerable } from "./emitter.ts";
import type { Op } from "./op.ts";
import { knownElements, type TensorValue } from "./value.ts";

/** Counts of Philox that one element takes from the state (stateful_random_ops.cc). */
const COUNTS_AN_ELEMENT = 256n;
/** Philox, by its number and as what is chosen by itself. */
const PHILOX: ReadonlySet<number> = new Set([1, 3]);

/** The generator's state, which then moves on by as many elements. */
function advance(state: ModelState, key: string, algorithm: Tensor, elements: bigint): { seed: Seed; before: Tensor } {
  const before = state.readVariable(key);
  if (!PHILOX.has(integers(algorithm)[0] ?? 0)) return refuse("another random number algorithm than Philox");
  const [low, high, own, ...rest] = elementsOf(before).map(BigInt);
  if (low === undefined || high === undefined || own === undefined || before.dtype !== "int64") {
    return refuse("the state of a generator is three integers");
  }
  const counter = u64(low) | (u64(high) << 64n);
  const next = BigInt.asUintN(128, counter + elements * COUNTS_AN_ELEMENT);
  const words = [next, next >> 64n, own, ...rest].map((word) => BigInt.asIntN(64, word));
  state.assign(key, int64Tensor(before.shape, words));
  return { seed: { key: u64(own), counter }, before };
}

type Change = (op: Op) => readonly TensorValue[];

function stateful(
  types: (op: Op) => readonly Type[],
  run: (key: string, op: Op) => (inputs: readonly Tensor[], state: ModelState) => readonly Tensor[],
): Change {
  return (op) =>
    op.emit.host(
      { op: op.node.op, node: op.node.name, run: run(op.requireResource(), op) },
      op.inputs,
      types(op),
      "changes",
    );
}

/** Operands: algorithm, shape, and what the distribution takes. */
function shaped(fill: Distribution, absent: DType): Change {
  const dtypeOf = (op: Op): DType => {
    const dtype = op.attributes.dtype("dtype") ?? absent;
    return dtype === "half" || dtype === "bfloat16" ? unlowerable(`of ${dtype}`) : dtype;
  };
  return stateful(
    (op) => [{ dtype: dtypeOf(op), shape: knownElements(op.input(1))?.map((size) => size ?? -1) }],
    (key, op) => {
      const dtype = dtypeOf(op);
      return ([algorithm, sizes, ...own], state) => {
        const shape = integers(sizes as Tensor);
        const count = elementCount(shape);
        if (shape.some((size) => size < 0) || count > MAX_ELEMENTS) return refuse("a tensor of that size");
        const { seed } = advance(state, key, algorithm as Tensor, BigInt(count));
        return [{ dtype, shape, data: fill(seed, count, dtype, own) }];
      };
    },
  );
}

/** Operands: algorithm, and how many elements to skip. */
const readAndSkip = stateful(
  () => [{ dtype: "int64", shape: [-1] }],
  (key) =>
    ([algorithm, delta], state) => [
      advance(state, key, algorithm as Tensor, u64(elementsOf(delta as Tensor)[0] ?? 0)).before,
    ],
);

const skip = stateful(
  () => [],
  (key) =>
    ([algorithm, delta], state) => {
      advance(state, key, algorithm as Tensor, u64(elementsOf(delta as Tensor)[0] ?? 0));
      return [];
    },
);

export const STATEFUL_RANDOM: Readonly<Record<string, Change>> = {
  RngReadAndSkip: readAndSkip,
  RngSkip: skip,
  StatefulStandardNormalV2: shaped(normal, "float"),
  StatefulTruncatedNormal: shaped(truncatedNormal, "float"),
  StatefulUniform: shaped(uniform, "float"),
  StatefulUniformFullInt: shaped(integersBetween, "uint64"),
  StatefulUniformInt: shaped(integersBetween, "int64"),
};
