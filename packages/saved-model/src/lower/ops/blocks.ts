// Ops that cut axes into blocks and put them elsewhere.

import { elementCount } from "@cloister/encoding/tensor";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts, normalizeAxis, type TensorValue } from "../value.ts";

/** Block sizes, and the begin and end of padding or cropping along each blocked axis. */
function blocksOf(op: Op): {
  blocks: readonly number[];
  edges: (readonly [number, number])[];
  shape: readonly number[];
} {
  const blocks = knownInts(op.input(1)) ?? unlowerable("blocks that are computed");
  const { constant } = op.input(2);
  const flat = constant
    ? Array.from(constant.data as Int32Array | BigInt64Array, Number)
    : unlowerable("edges that are computed");
  const edges = blocks.map((_, axis) => [flat[2 * axis] ?? 0, flat[2 * axis + 1] ?? 0] as const);
  const shape = op.input(0).shape ?? unlowerable("a tensor of unknown rank");
  if (shape.slice(1).includes(-1)) unlowerable("images of unknown size");
  return { blocks, edges, shape };
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

/** Blocks of space become images of the batch. */
const spaceToBatch: Lowering = (op) => {
  const { blocks, edges, shape } = blocksOf(op);
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
  const inner = blocks.map((_, axis) => 2 * axis + 2);
  const outer = blocks.map((_, axis) => 2 * axis + 1);
  const perm = [...inner, 0, ...outer, ...range(2 * count + 1, rest.length)];
  const [moved] = emit.node("Transpose", [cut], { perm });
  const batch = (shape[0] ?? -1) < 0 ? -1 : (shape[0] ?? 0) * elementCount(blocks);
  const type = { dtype: op.input(0).dtype, shape: [batch, ...small, ...rest] };
  return emit.plainNode("Reshape", [moved, emit.ints([-1, ...small, ...rest])], type);
};

/** Images of the batch become blocks of space. */
const batchToSpace: Lowering = (op) => {
  const { blocks, edges, shape } = blocksOf(op);
  const { emit } = op;
  const count = blocks.length;
  const rest = shape.slice(count + 1);
  const sizes = shape.slice(1, count + 1);
  const [cut] = emit.node("Reshape", [emit.plain(op.input(0)), emit.ints([...blocks, -1, ...sizes, ...rest])]);
  const perm = [count, ...sizes.flatMap((_, axis) => [count + 1 + axis, axis]), ...range(2 * count + 1, rest.length)];
  const [moved] = emit.node("Transpose", [cut], { perm });
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
  const shifts = knownInts(op.input(1)) ?? unlowerable("shifts that are computed");
  const axes = knownInts(op.input(2)) ?? unlowerable("axes that are computed");
  const { emit } = op;
  const value = op.input(0);
  const shape = value.shape ?? unlowerable("a tensor of unknown rank");
  let name = emit.plain(value);
  for (const [index, given] of axes.entries()) {
    const axis = normalizeAxis(given, shape.length);
    const size = shape[axis] ?? -1;
    if (size < 0) unlowerable("along an axis of unknown size");
    const shift = size === 0 ? 0 : (((shifts[index] ?? 0) % size) + size) % size;
    if (shift === 0) continue;
    const part = (start: number, end: number): string =>
      emit.node("Slice", [name, emit.ints([start]), emit.ints([end]), emit.ints([axis])])[0];
    [name] = emit.node("Concat", [part(size - shift, size), part(0, size - shift)], { axis });
  }
  return { kind: "tensor", dtype: value.dtype, shape, plain: name } satisfies TensorValue;
};

export const BLOCKS: LoweringTable = {
  BatchToSpaceND: batchToSpace,
  MatrixBandPart: matrixBandPart,
  Roll: roll,
  SpaceToBatchND: spaceToBatch,
};
