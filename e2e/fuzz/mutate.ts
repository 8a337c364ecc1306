import type { Random } from "./random.ts";

/** What a mutation may use beside the input itself. */
export interface Material {
  readonly random: Random;
  /** Byte strings that mean something to the parsers. */
  readonly tokens: readonly Uint8Array[];
  /** Inputs to take pieces of. */
  readonly others: readonly Uint8Array[];
  readonly maxLength: number;
}

type Mutation = (input: Uint8Array, material: Material) => Uint8Array;

/** Ends of ranges, and what opens and closes things in DER, CBOR and JSON. */
const EDGE_BYTES = [
  ...Buffer.from('{}[]:,"\\=\n'),
  0x00,
  0x01,
  0x1f,
  0x20,
  0x22,
  0x30,
  0x7f,
  0x80,
  0x81,
  0x82,
  0xa0,
  0xfe,
  0xff,
];
const MAX_PIECE = 64;
const MAX_DOUBLINGS = 3;

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  (input, { random }) => overwrite(input, random.below(input.length), [random.pick(EDGE_BYTES)]),
  (input, { random }) => overwrite(input, random.below(input.length), [random.below(256)]),
  (input, { random }) => addTo(input, random),
  (input, { random }) => splice(input, random.below(input.length + 1), 0, [random.pick(EDGE_BYTES)]),
  (input, { random }) => splice(input, random.below(input.length + 1), 0, randomBytes(random)),
  (input, { random }) => splice(input, random.below(input.length), 1 + random.below(MAX_PIECE), []),
  (input, { random }) => input.subarray(0, random.below(input.length + 1)),
  (input, { random, tokens }) => splice(input, random.below(input.length + 1), 0, random.pick(tokens)),
  (input, { random, tokens }) => overwrite(input, random.below(input.length + 1), random.pick(tokens)),
  (input, { random }) => splice(input, random.below(input.length + 1), 0, piece(input, random)),
  (input, { random }) => overwrite(input, random.below(input.length + 1), piece(input, random)),
  (input, { random, others }) => splice(input, random.below(input.length + 1), 0, piece(random.pick(others), random)),
  (input, { random, others }) => crossOver(input, random.pick(others), random),
];

/** A changed copy of the input, by one to four steps; one is the most likely. */
export function mutate(input: Uint8Array, material: Material): Uint8Array {
  let changed = input;
  for (let steps = 1 + material.random.below(2 ** material.random.below(MAX_DOUBLINGS)); steps > 0; steps -= 1) {
    changed = material.random.pick(MUTATIONS)(changed, material);
  }
  return changed.slice(0, material.maxLength);
}

function flipBit(input: Uint8Array, { random }: Material): Uint8Array {
  const at = random.below(input.length);
  return overwrite(input, at, [(input[at] ?? 0) ^ (1 << random.below(8))]);
}

/** Adds a small number to a number of one, two or four bytes of either order. */
function addTo(input: Uint8Array, random: Random): Uint8Array {
  const width = random.pick([1, 2, 4]);
  if (input.length < width) return input;
  const changed = input.slice();
  const at = random.below(input.length - width + 1);
  const isLittle = random.below(2) === 0;
  let carry = random.below(71) - 35;
  for (let index = 0; index < width; index += 1) {
    const place = at + (isLittle ? index : width - 1 - index);
    const sum = (changed[place] ?? 0) + carry;
    changed[place] = sum & 0xff;
    carry = sum >> 8;
  }
  return changed;
}

function crossOver(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  return splice(input, random.below(input.length + 1), input.length, other.subarray(random.below(other.length + 1)));
}

function piece(input: Uint8Array, random: Random): Uint8Array {
  const start = random.below(input.length + 1);
  return input.subarray(start, start + random.below(MAX_PIECE) + 1);
}

function randomBytes(random: Random): readonly number[] {
  return Array.from({ length: 1 + random.below(8) }, () => random.below(256));
}

function overwrite(input: Uint8Array, at: number, bytes: ArrayLike<number>): Uint8Array {
  return splice(input, at, bytes.length, bytes);
}

function splice(input: Uint8Array, at: number, removed: number, added: ArrayLike<number>): Uint8Array {
  const kept = Math.max(0, input.length - at - removed);
  const changed = new Uint8Array(at + added.length + kept);
  changed.set(input.subarray(0, at), 0);
  changed.set(added, at);
  changed.set(input.subarray(input.length - kept), at + added.length);
  return changed;
}
