// Random numbers. The stateless ops give TensorFlow's own numbers for a seed; the others are seeded anew in each call, as they are
// in TensorFlow where a graph names no seed.

import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { elementsOf, fromElements, integers } from "../../host/elements.ts";
import {
  categorical,
  type Distribution,
  integersBetween,
  MAX_ELEMENTS,
  normal,
  type Seed,
  truncatedNormal,
  uniform,
} from "../../host/distributions.ts";
import { keyOfSeed, PhiloxStream } from "../../host/philox.ts";
import { refuse } from "../../host/refusal.ts";
import type { ModelState } from "../../host/state.ts";
import { u64 } from "../../host/words.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownElements, type TensorValue } from "../value.ts";

function seedOf(seed: Tensor): Seed {
  const [first, second] = elementsOf(seed).map((each) =>
    u64(Number.isInteger(each) ? (each as number) : (each as bigint)),
  );
  return keyOfSeed(first ?? 0n, second ?? 0n);
}

/** From the results of StatelessRandomGetKeyCounter. */
function seedOfKey(key: Tensor, counter: Tensor): Seed {
  const [low = 0n, high = 0n] = elementsOf(counter).map((each) => u64(each));
  return { key: u64(elementsOf(key)[0] ?? 0), counter: low | (high << 64n) };
}

function freshSeed(_: readonly Tensor[], state: ModelState): Seed {
  const words = new BigUint64Array(new Uint8Array(state.random(16)).buffer);
  return { key: words[0] ?? 0n, counter: (words[1] ?? 0n) << 64n };
}

function shapeOf(tensor: Tensor | undefined): number[] {
  const shape = tensor ? integers(tensor) : refuse("a shape is missing");
  if (shape.some((size) => size < 0) || elementCount(shape) > MAX_ELEMENTS) refuse("a tensor of that size");
  return shape;
}

/** How an op gets its seed, and how many operands behind the shape say so. */
interface Source {
  readonly operands: number;
  readonly seed: (operands: readonly Tensor[], state: ModelState) => Seed;
}

const BY_SEED: Source = { operands: 1, seed: ([seed]) => seedOf(seed as Tensor) };
const BY_KEY: Source = { operands: 3, seed: ([key, counter]) => seedOfKey(key as Tensor, counter as Tensor) };
const FRESH: Source = { operands: 0, seed: freshSeed };

/** Half precision would need bits of its own kind. */
function requireDType(op: Op, attribute: string, absent: DType): DType {
  const dtype = op.attributes.dtype(attribute) ?? absent;
  return dtype === "half" || dtype === "bfloat16" ? unlowerable(`of ${dtype}`) : dtype;
}

function shaped(source: Source, fill: Distribution, attribute = "dtype", absent: DType = "float"): Lowering {
  return hostOp(
    (op) => [
      { dtype: requireDType(op, attribute, absent), shape: knownElements(op.input(0))?.map((size) => size ?? -1) },
    ],
    (op) => {
      const dtype = requireDType(op, attribute, absent);
      return ([shapeOperand, ...operands], state) => {
        const shape = shapeOf(shapeOperand);
        const seed = source.seed(operands, state);
        return [{ dtype, shape, data: fill(seed, elementCount(shape), dtype, operands.slice(source.operands)) }];
      };
    },
  );
}

/** Operands: logits, how many, and the seed. */
function drawing(source: Source): Lowering {
  return hostOp(
    (op) => [{ dtype: op.attributes.dtype("output_dtype") ?? "int64", shape: [op.input(0).shape?.[0] ?? -1, -1] }],
    (op) => {
      const dtype = op.attributes.dtype("output_dtype") ?? "int64";
      return ([logits, count, ...operands], state) => [
        categorical(source.seed(operands, state), logits as Tensor, integers(count as Tensor)[0] ?? 0, dtype),
      ];
    },
  );
}

/** Key and counter of a seed, as the ops of the second version take them. */
const keyCounter: Lowering = hostOp(
  (op) => [
    { dtype: "uint64", shape: [1] },
    { dtype: "uint64", shape: [2] },
    ...(op.node.op.endsWith("Alg") ? [{ dtype: "int32" as const, shape: [] }] : []),
  ],
  (op) =>
    ([operand]) => {
      const { key, counter } = seedOf(operand as Tensor);
      const tensors = [fromElements("uint64", [1], [key]), fromElements("uint64", [2], [u64(counter), counter >> 64n])];
      return op.node.op.endsWith("Alg") ? [...tensors, fromElements("int32", [], [1])] : tensors;
    },
);

/** Philox, which is what runs on processors. */
const algorithm: Lowering = ({ emit }): TensorValue => emit.constant(fromElements("int32", [], [1]));

/** Rows in another order (Fisher and Yates), one word of the generator for each. */
function shuffling(source: Source): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(0).dtype, shape: op.input(0).shape }],
    () =>
      ([operand, ...operands], state) => {
        const { dtype, shape } = operand as Tensor;
        const [rows = 1] = shape;
        const width = elementCount(shape.slice(1));
        const { key, counter } = source.seed(operands, state);
        const stream = new PhiloxStream(key, counter);
        const order = Array.from({ length: rows }, (_, row) => row);
        let words: number[] = [];
        for (let row = 0; row + 1 < rows; row++) {
          if (words.length === 0) words = [...stream.next()];
          const other = row + ((words.shift() ?? 0) % (rows - row));
          [order[row], order[other]] = [order[other] as number, order[row] as number];
        }
        const elements = elementsOf(operand as Tensor);
        const moved = order.flatMap((row) => elements.slice(row * width, (row + 1) * width));
        return [fromElements(dtype, shape, moved)];
      },
  );
}

export const RANDOM: LoweringTable = {
  Multinomial: drawing(FRESH),
  RandomShuffle: shuffling(FRESH),
  RandomStandardNormal: shaped(FRESH, normal),
  RandomUniformInt: shaped(FRESH, integersBetween, "Tout", "int32"),
  StatelessMultinomial: drawing(BY_SEED),
  StatelessRandomGetAlg: algorithm,
  StatelessRandomGetKeyCounter: keyCounter,
  StatelessRandomGetKeyCounterAlg: keyCounter,
  StatelessRandomNormal: shaped(BY_SEED, normal),
  StatelessRandomNormalV2: shaped(BY_KEY, normal),
  StatelessRandomUniform: shaped(BY_SEED, uniform),
  StatelessRandomUniformFullInt: shaped(BY_SEED, integersBetween, "dtype", "uint64"),
  StatelessRandomUniformFullIntV2: shaped(BY_KEY, integersBetween, "dtype", "uint64"),
  StatelessRandomUniformInt: shaped(BY_SEED, integersBetween, "dtype", "int32"),
  StatelessRandomUniformIntV2: shaped(BY_KEY, integersBetween, "dtype", "int32"),
  StatelessRandomUniformV2: shaped(BY_KEY, uniform),
  StatelessShuffle: shuffling(BY_KEY),
  StatelessTruncatedNormal: shaped(BY_SEED, truncatedNormal),
  StatelessTruncatedNormalV2: shaped(BY_KEY, truncatedNormal),
  TruncatedNormal: shaped(FRESH, truncatedNormal),
};
