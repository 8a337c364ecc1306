// Random numbers. The stateless ops give TensorFlow's own numbers for a seed; the others are seeded anew in each call, as they are
// in TensorFlow where a graph names no seed.

import { randomBytes } from "node:crypto";
import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { elementsOf, fromElements, integers } from "../../host/elements.ts";
import { keyOfSeed, normalDoubles, normalFloats, PhiloxStream, unitDouble, unitFloat } from "../../host/philox.ts";
import { refuse } from "../../host/refusal.ts";
import { u64 } from "../../host/words.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownElements, type TensorValue } from "../value.ts";

/** No result may be larger. */
const MAX_ELEMENTS = 2 ** 26;
/** Calls of the generator that each group of four truncated normal numbers has for itself. */
const TRUNCATED_CALLS = 256n;
const TRUNCATED_AT = 2;

interface Seed {
  readonly key: bigint;
  readonly counter: bigint;
}

/** Fills `count` elements of a dtype. `own` are the op's further operands. */
type Distribution = (seed: Seed, count: number, dtype: DType, own: readonly Tensor[]) => Tensor["data"];

/** Fills an array with what `make` gives for each four words of the generator. */
function filled(
  { key, counter }: Seed,
  count: number,
  dtype: DType,
  make: (stream: PhiloxStream) => readonly (number | bigint)[],
): Tensor["data"] {
  if (dtype === "string") return refuse("random strings");
  const data = newArray(dtype, count);
  const stream = new PhiloxStream(key, counter);
  for (let at = 0; at < count;) {
    for (const value of make(stream)) if (at < count) data[at++] = value as never;
  }
  return data;
}

const uniform: Distribution = (seed, count, dtype) =>
  filled(seed, count, dtype, (stream) => {
    const words = stream.next();
    if (dtype !== "double") return words.map(unitFloat);
    return [unitDouble(words[0], words[1]), unitDouble(words[2], words[3])];
  });

const normal: Distribution = (seed, count, dtype) =>
  filled(seed, count, dtype, (stream) => {
    const words = stream.next();
    if (dtype === "double") return normalDoubles(words);
    return [...normalFloats(words[0], words[1]), ...normalFloats(words[2], words[3])];
  });

/** Groups of four numbers, each from a stretch of the generator that is its own. */
const truncatedNormal: Distribution = ({ key, counter }, count, dtype) => {
  if (dtype !== "float") return refuse("truncated normal numbers of that dtype");
  const data = new Float32Array(count);
  for (let group = 0; group * 4 < count; group++) {
    const stream = new PhiloxStream(key, BigInt.asUintN(128, counter + BigInt(group) * TRUNCATED_CALLS));
    const found: number[] = [];
    while (found.length < 4) {
      const words = stream.next();
      const pairs = [...normalFloats(words[0], words[1]), ...normalFloats(words[2], words[3])];
      found.push(...pairs.filter((value) => Math.abs(value) < TRUNCATED_AT));
    }
    for (let i = 0; i < 4 && group * 4 + i < count; i++) data[group * 4 + i] = found[i] as number;
  }
  return data;
};

/** Whole words as integers; with bounds, the remainder above the lower one. */
const integersBetween: Distribution = (seed, count, dtype, [low, high]) => {
  const isWide = dtype === "int64" || dtype === "uint64";
  const first = low ? BigInt(elementsOf(low)[0] ?? 0) : 0n;
  const range = high ? BigInt(elementsOf(high)[0] ?? 0) - first : 2n ** (isWide ? 64n : 32n);
  if (range <= 0n) return refuse("a random range is empty");
  return filled(seed, count, dtype, (stream) => {
    const [a, b, c, d] = stream.next().map(BigInt) as [bigint, bigint, bigint, bigint];
    if (isWide) return [a | (b << 32n), c | (d << 32n)].map((bits) => first + (bits % range));
    return [a, b, c, d].map((bits) => Number(first + (bits % range)));
  });
};

/** Draws classes by their logits, `count` for each row. */
function categorical({ key, counter }: Seed, logits: Tensor, count: number, dtype: DType): Tensor {
  const [rows = 0, classes = 0] = logits.shape;
  if (rows * count > MAX_ELEMENTS || classes === 0) return refuse("a draw of that size");
  const values = elementsOf(logits).map(Number);
  const stream = new PhiloxStream(key, counter);
  let spare: number[] = [];
  const unit = (): number => {
    if (spare.length === 0) spare = [...stream.next()];
    return unitDouble(spare.shift() ?? 0, spare.shift() ?? 0);
  };
  const drawn = Array.from({ length: rows }, (_, row) => {
    const own = values.slice(row * classes, (row + 1) * classes);
    const most = own.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), Number.NEGATIVE_INFINITY);
    let sum = 0;
    const sums = own.map((logit) => (sum += Number.isFinite(logit) ? Math.exp(logit - most) : 0));
    return Array.from({ length: count }, () => {
      const wanted = unit() * sum;
      return Math.max(
        sums.findIndex((each) => each > wanted),
        0,
      );
    });
  }).flat();
  return fromElements(dtype, [rows, count], dtype === "int64" ? drawn.map(BigInt) : drawn);
}

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

function freshSeed(): Seed {
  const bytes = randomBytes(16);
  return { key: bytes.readBigUInt64LE(0), counter: bytes.readBigUInt64LE(8) << 64n };
}

function shapeOf(tensor: Tensor | undefined): number[] {
  const shape = tensor ? integers(tensor) : refuse("a shape is missing");
  if (shape.some((size) => size < 0) || elementCount(shape) > MAX_ELEMENTS) refuse("a tensor of that size");
  return shape;
}

/** How an op gets its seed, and how many operands behind the shape say so. */
interface Source {
  readonly operands: number;
  readonly seed: (operands: readonly Tensor[]) => Seed;
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
      return ([shapeOperand, ...operands]) => {
        const shape = shapeOf(shapeOperand);
        const seed = source.seed(operands);
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
      return ([logits, count, ...operands]) => [
        categorical(source.seed(operands), logits as Tensor, integers(count as Tensor)[0] ?? 0, dtype),
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
      ([operand, ...operands]) => {
        const { dtype, shape } = operand as Tensor;
        const [rows = 1] = shape;
        const width = elementCount(shape.slice(1));
        const { key, counter } = source.seed(operands);
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
