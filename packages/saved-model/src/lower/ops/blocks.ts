// Ops that cut axes into blocks and put them elsewhere.

import { elementCount } from "@cloister/encoding/tensor";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts, normalizeAxis, type TensorValue } from "../value.ts";

interface Blocks {
  readonly blocks: readonly number[];
  /** The begin and end of padding or cropping along each blocked axis. */
  readonly edges: readonly (readonly [number, number])[];
  readonly shape: readonly number[];
}

/** What is known of the blocks; `undefined` where sizes or edges are computed. */
function blocksOf(op: Op): Blocks | undefined {
  const blocks = requireBlocks(op);
  const { constant } = op.input(2);
  const { shape } = op.input(0);
  if (!constant || !shape || shape.slice(1).includes(-1)) return undefined;
  const flat = Array.from(constant.data as Int32Array | BigInt64Array, Number);
  const edges = blocks.map((_, axis) => [flat[2 * axis] ?? 0, flat[2 * axis + 1] ?? 0] as const);
  return { blocks, edges, shape };
}

function requireBlocks(op: Op): readonly number[] {
  return knownInts(op.input(1)) ?? unlowerable("blocks that are computed");
}

/** The same where sizes or edges are computed: names of the sizes of the blocked axes and of those behind, and the edges. */
class ComputedBlocks {
  readonly blocks: readonly number[];
  readonly #op: Op;

  constructor(op: Op) {
    this.#op = op;
    this.blocks = requireBlocks(op);
    if (!op.input(0).shape) unlowerable("a tensor of unknown rank");
  }

  get rest(): number {
    return (this.#op.input(0).shape?.length ?? 0) - this.blocks.length - 1;
  }

  /** The first (0) or last (1) edges. */
  edges(side: 0 | 1): string {
    const { emit } = this.#op;
    return emit.node("Gather", [emit.asInt64(this.#op.input(2)), emit.int(side)], { axis: 1 })[0];
  }

  /** Batch, blocked sizes and sizes behind of `name`. */
  sizes(name: string): [batch: string, spatial: string, rest: string] {
    const { emit } = this.#op;
    const [shape] = emit.node("Shape", [name]);
    const part = (from: number, to: number): string =>
      emit.node("Slice", [shape, emit.ints([from]), emit.ints([to])])[0];
    const count = this.blocks.length;
    return [part(0, 1), part(1, count + 1), part(count + 1, count + 1 + this.rest)];
  }

  joined(...parts: readonly string[]): string {
    return this.#op.emit.node("Concat", parts, { axis: 0 })[0];
  }

  reshaped(name: string, ...parts: readonly string[]): string {
    return this.#op.emit.node("Reshape", [name, this.joined(...parts)])[0];
  }
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

/** Axes of an image cut into blocks, with the axes inside of the blocks first. */
function blocksFirst(count: number, rest: number): readonly number[] {
  const inner = range(0, count).map((axis) => 2 * axis + 2);
  const outer = range(0, count).map((axis) => 2 * axis + 1);
  return [...inner, 0, ...outer, ...range(2 * count + 1, rest)];
}

/** The reverse. */
function blocksInside(count: number, rest: number): readonly number[] {
  return [count, ...range(0, count).flatMap((axis) => [count + 1 + axis, axis]), ...range(2 * count + 1, rest)];
}

function computedSpaceToBatch(op: Op): TensorValue {
  const { emit } = op;
  const computed = new ComputedBlocks(op);
  const { blocks, rest } = computed;
  const zeros = emit.ints(Array<number>(rest).fill(0));
  const zero = emit.ints([0]);
  const pads = computed.joined(zero, computed.edges(0), zeros, zero, computed.edges(1), zeros);
  const [padded] = emit.node("Pad", [emit.plain(op.input(0)), pads]);
  const [batch, spatial, behind] = computed.sizes(padded);
  const [small] = emit.node("Div", [spatial, emit.ints(blocks)]);
  const column = (name: string): string => emit.node("Unsqueeze", [name, emit.ints([1])])[0];
  const [pairs] = emit.node("Concat", [column(small), column(emit.ints(blocks))], { axis: 1 });
  const [split] = emit.node("Reshape", [pairs, emit.ints([-1])]);
  const perm = blocksFirst(blocks.length, rest);
  const [moved] = emit.node("Transpose", [computed.reshaped(padded, batch, split, behind)], { perm });
  const { dtype, shape } = op.input(0);
  const type = { dtype, shape: shape?.map((size, axis) => (axis > blocks.length ? size : -1)) };
  return emit.plainNode("Reshape", [moved, computed.joined(emit.ints([-1]), small, behind)], type);
}

function computedBatchToSpace(op: Op): TensorValue {
  const { emit } = op;
  const computed = new ComputedBlocks(op);
  const { blocks, rest } = computed;
  const image = emit.plain(op.input(0));
  const [, spatial, behind] = computed.sizes(image);
  const cut = computed.reshaped(image, emit.ints([...blocks, -1]), spatial, behind);
  const [moved] = emit.node("Transpose", [cut], { perm: blocksInside(blocks.length, rest) });
  const [large] = emit.node("Mul", [spatial, emit.ints(blocks)]);
  const whole = computed.reshaped(moved, emit.ints([-1]), large, behind);
  const [ends] = emit.node("Sub", [large, computed.edges(1)]);
  const { dtype, shape } = op.input(0);
  const type = { dtype, shape: shape?.map((size, axis) => (axis > blocks.length ? size : -1)) };
  return emit.plainNode("Slice", [whole, computed.edges(0), ends, emit.ints(range(1, blocks.length))], type);
}

/** Blocks of space become images of the batch. */
const spaceToBatch: Lowering = (op) => {
  const known = blocksOf(op);
  if (!known) return computedSpaceToBatch(op);
  const { blocks, edges, shape } = known;
  const { emit } = op;
  const count = blocks.length;
  const rest = shape.slice(count + 1);
  const small = blocks.map((block, axis) => {
    const [before, after] = edges[axis] ?? [0, 0];
    const size = (shape[axis + 1] ?? 0) + before + after;
    return size % block === 0 ? size / block : unlowerable("images that blocks do not divide");
  });
  const zeros = rest.map(() => 0);
  const pads = [0, ...edges.map(([before]) => before), ...zeros, 0, ...edges.map(([, after]) => after), ...zeros];
  const padded = pads.some((size) => size !== 0)
    ? emit.node("Pad", [emit.plain(op.input(0)), emit.ints(pads)])[0]
    : emit.plain(op.input(0));
  const split = [-1, ...small.flatMap((size, axis) => [size, blocks[axis] ?? 1]), ...rest];
  const [cut] = emit.node("Reshape", [padded, emit.ints(split)]);
  const [moved] = emit.node("Transpose", [cut], { perm: blocksFirst(count, rest.length) });
  const batch = (shape[0] ?? -1) < 0 ? -1 : (shape[0] ?? 0) * elementCount(blocks);
  const type = { dtype: op.input(0).dtype, shape: [batch, ...small, ...rest] };
  return emit.plainNode("Reshape", [moved, emit.ints([-1, ...small, ...rest])], type);
};

/** Images of the batch become blocks of space. */
const batchToSpace: Lowering = (op) => {
  const known = blocksOf(op);
  if (!known) return computedBatchToSpace(op);
  const { blocks, edges, shape } = known;
  const { emit } = op;
  const count = blocks.length;
  const rest = shape.slice(count + 1);
  const sizes = shape.slice(1, count + 1);
  const [cut] = emit.node("Reshape", [emit.plain(op.input(0)), emit.ints([...blocks, -1, ...sizes, ...rest])]);
  const [moved] = emit.node("Transpose", [cut], { perm: blocksInside(count, rest.length) });
  const large = sizes.map((size, axis) => size * (blocks[axis] ?? 1));
  const whole = emit.node("Reshape", [moved, emit.ints([-1, ...large, ...rest])])[0];
  const starts = edges.map(([before]) => before);
  const ends = large.map((size, axis) => size - (edges[axis]?.[1] ?? 0));
  const batch = (shape[0] ?? -1) < 0 ? -1 : (shape[0] ?? 0) / elementCount(blocks);
  const cropped = ends.map((end, axis) => end - (starts[axis] ?? 0));
  const operands = [whole, emit.ints(starts), emit.ints(ends), emit.ints(range(1, count))];
  return emit.plainNode("Slice", operands, { dtype: op.input(0).dtype, shape: [batch, ...cropped, ...rest] });
};

/** Elements around the middle diagonals; a negative number keeps all on its side. */
const matrixBandPart: Lowering = (op) => {
  const [lower] = knownInts(op.input(1)) ?? unlowerable("a band that is computed");
  const [upper] = knownInts(op.input(2)) ?? unlowerable("a band that is computed");
  const value = op.input(0);
  const { emit } = op;
  const isDirect = ["float", "double", "int64"].includes(value.dtype);
  let name = isDirect ? emit.plain(value) : emit.cast(emit.plain(value), "float");
  if (lower !== undefined && lower >= 0) [name] = emit.node("Trilu", [name, emit.int(-lower)], { upper: 1 });
  if (upper !== undefined && upper >= 0) [name] = emit.node("Trilu", [name, emit.int(upper)], { upper: 0 });
  return {
    kind: "tensor",
    dtype: value.dtype,
    shape: value.shape,
    plain: isDirect ? name : emit.cast(name, value.dtype),
  };
};

/** Elements that leave at one end come in at the other. */
const roll: Lowering = (op) => {
  const axes = knownInts(op.input(2)) ?? unlowerable("axes that are computed");
  const { emit } = op;
  const value = op.input(0);
  const shape = value.shape ?? unlowerable("a tensor of unknown rank");
  const [shifts] = emit.node("Reshape", [emit.asInt64(op.input(1)), emit.ints([-1])]);
  let name = emit.plain(value);
  for (const [index, given] of axes.entries()) {
    const axis = normalizeAxis(given, shape.length);
    const [size] = emit.node("Gather", [emit.node("Shape", [name])[0], emit.ints([axis])]);
    const [shift] = emit.node("Gather", [shifts, emit.ints([index])]);
    // ONNX's Mod has the sign of the divisor; an empty axis has nothing to shift.
    const [ahead] = emit.node("Mod", [shift, emit.node("Max", [size, emit.ints([1])])[0]]);
    const [cut] = emit.node("Sub", [size, ahead]);
    const part = (start: string, end: string): string => emit.node("Slice", [name, start, end, emit.ints([axis])])[0];
    [name] = emit.node("Concat", [part(cut, size), part(emit.ints([0]), cut)], { axis });
  }
  return { kind: "tensor", dtype: value.dtype, shape, plain: name } satisfies TensorValue;
};

export const BLOCKS: LoweringTable = {
  BatchToSpaceND: batchToSpace,
  MatrixBandPart: matrixBandPart,
  Roll: roll,
  SpaceToBatchND: spaceToBatch,
};
