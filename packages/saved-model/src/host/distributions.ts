// Random numbers from a seed, as TensorFlow draws them.

import { type DType, type Tensor } from "@cloister/encoding/tensor";
import { newArray } from "../tensor/dtype.ts";
import { elementsOf, fromElements } from "./elements.ts";
import { normalDoubles, normalFloats, PhiloxStream, unitDouble, unitFloat } from "./philox.ts";
import { refuse } from "./refusal.ts";

/** No result may be larger. */
export const MAX_ELEMENTS = 2 ** 26;
/** Calls of the generator that each group of four truncated normal numbers has for itself. */
const TRUNCATED_CALLS = 256n;
const TRUNCATED_AT = 2;

/** A key and a counter of Philox. */
export interface Seed {
  readonly key: bigint;
  readonly counter: bigint;
}

/** Fills `count` elements of a dtype. `own` are the op's further operands. */
export type Distribution = (seed: Seed, count: number, dtype: DType, own: readonly Tensor[]) => Tensor["data"];

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

export const uniform: Distribution = (seed, count, dtype) =>
  filled(seed, count, dtype, (stream) => {
    const words = stream.next();
    if (dtype !== "double") return words.map(unitFloat);
    return [unitDouble(words[0], words[1]), unitDouble(words[2], words[3])];
  });

export const normal: Distribution = (seed, count, dtype) =>
  filled(seed, count, dtype, (stream) => {
    const words = stream.next();
    if (dtype === "double") return normalDoubles(words);
    return [...normalFloats(words[0], words[1]), ...normalFloats(words[2], words[3])];
  });

/** Groups of four numbers, each from a stretch of the generator that is its own. */
export const truncatedNormal: Distribution = ({ key, counter }, count, dtype) => {
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
export const integersBetween: Distribution = (seed, count, dtype, [low, high]) => {
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
export function categorical({ key, counter }: Seed, logits: Tensor, count: number, dtype: DType): Tensor {
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
