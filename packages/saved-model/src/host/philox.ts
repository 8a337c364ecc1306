// Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), the generator behind
// TensorFlow's stateless random ops, and the ways in which TensorFlow makes numbers of its bits (random_distributions.h).

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;

/** Four words of 32 bits. */
export type Words = readonly [number, number, number, number];

/** The words for a counter (four words) under a key (two words). */
function philox(counter: Words, key: readonly [number, number]): Words {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const low0 = Math.imul(MULTIPLIERS[0], a) >>> 0;
    const high0 = highWord(MULTIPLIERS[0], a);
    const low1 = Math.imul(MULTIPLIERS[1], c) >>> 0;
    const high1 = highWord(MULTIPLIERS[1], c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The upper half of a product of two words. */
function highWord(x: number, y: number): number {
  const [xh, xl, yh, yl] = [x >>> 16, x & 0xffff, y >>> 16, y & 0xffff];
  const middle = xh * yl + Math.floor((xl * yl) / 0x10000);
  const other = xl * yh + (middle % 0x10000);
  return (xh * yh + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000)) >>> 0;
}

const word = (value: bigint, index: number): number => Number((value >> BigInt(32 * index)) & 0xffff_ffffn);

/** A generator at a counter of 128 bits, under a key of 64. */
export class PhiloxStream {
  readonly #key: readonly [number, number];
  #counter: bigint;

  constructor(key: bigint, counter: bigint) {
    this.#key = [word(key, 0), word(key, 1)];
    this.#counter = counter;
  }

  /** The next four words. */
  next(): Words {
    const at = this.#counter;
    this.#counter = BigInt.asUintN(128, at + 1n);
    return philox([word(at, 0), word(at, 1), word(at, 2), word(at, 3)], this.#key);
  }
}

/** Key and counter for the two numbers of a seed (stateless_random_ops.cc, GenerateKey). */
export function keyOfSeed(first: bigint, second: bigint): { key: bigint; counter: bigint } {
  const counter: Words = [word(first, 0), word(first, 1), word(second, 0), word(second, 1)];
  const [a, b, c, d] = philox(counter, [0x3ec8f720, 0x02461e29]).map(BigInt) as [bigint, bigint, bigint, bigint];
  return { key: a | (b << 32n), counter: (c << 64n) | (d << 96n) };
}

const scratch = new DataView(new ArrayBuffer(8));

/** [0, 1) from the lower 23 bits of a word. */
export function unitFloat(bits: number): number {
  scratch.setUint32(0, (127 << 23) | (bits & 0x7fffff));
  return scratch.getFloat32(0) - 1;
}

/** [0, 1) from 52 bits of two words. */
export function unitDouble(first: number, second: number): number {
  scratch.setUint32(0, (1023 << 20) | (first & 0xfffff));
  scratch.setUint32(4, second);
  return scratch.getFloat64(0) - 1;
}

/** The least number that the logarithm of Box and Muller's method takes. */
const LEAST = 1e-7;

/** Two normal numbers of two words, in single precision. */
export function normalFloats(first: number, second: number): [number, number] {
  const angle = Math.fround(2 * Math.PI * unitFloat(second));
  const radius = Math.fround(Math.sqrt(Math.fround(-2 * Math.fround(Math.log(Math.max(unitFloat(first), LEAST))))));
  return [Math.fround(Math.sin(angle)) * radius, Math.fround(Math.cos(angle)) * radius];
}

/** Two normal numbers of four words, in double precision. */
export function normalDoubles([a, b, c, d]: Words): [number, number] {
  const angle = 2 * Math.PI * unitDouble(c, d);
  const radius = Math.sqrt(-2 * Math.log(Math.max(unitDouble(a, b), LEAST)));
  return [Math.sin(angle) * radius, Math.cos(angle) * radius];
}
