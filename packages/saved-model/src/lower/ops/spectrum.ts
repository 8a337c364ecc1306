// Fourier transforms along the last one, two or three axes. The host computes them in double precision.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { integers } from "../../host/elements.ts";
import { type ComplexRow, complexRow, fourier } from "../../host/fourier.ts";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import type { Op } from "../op.ts";
import { type ComplexValue, knownInts, type Shape, type TensorValue } from "../value.ts";

/** No transform may be larger. */
const MAX_ELEMENTS = 2 ** 26;

interface Grid extends ComplexRow {
  readonly shape: readonly number[];
}

/** Transforms every row along an axis; a row is cut or filled with zeros to `length` first. */
function alongAxis(grid: Grid, axis: number, length: number, transform: (row: ComplexRow) => ComplexRow): Grid {
  const size = grid.shape[axis] ?? 0;
  const step = elementCount(grid.shape.slice(axis + 1));
  const rows = elementCount(grid.shape.slice(0, axis));
  const used = Math.min(size, length);
  let result: Grid | undefined;
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < step; at++) {
      const line = complexRow(length);
      for (let k = 0; k < used; k++) {
        const from = (row * size + k) * step + at;
        line.real[k] = grid.real[from] as number;
        line.imaginary[k] = grid.imaginary[from] as number;
      }
      const { real, imaginary } = transform(line);
      result ??= { ...complexRow(rows * real.length * step), shape: grid.shape.with(axis, real.length) };
      for (let k = 0; k < real.length; k++) {
        const to = (row * real.length + k) * step + at;
        result.real[to] = real[k] as number;
        result.imaginary[to] = imaginary[k] as number;
      }
    }
  }
  return result ?? { ...complexRow(0), shape: grid.shape.with(axis, transform(complexRow(length)).real.length) };
}

/** The first half and the middle: the rest of a real row's transform mirrors it. */
function firstHalf({ real, imaginary }: ComplexRow): ComplexRow {
  const length = Math.floor(real.length / 2) + 1;
  return { real: real.slice(0, length), imaginary: imaginary.slice(0, length) };
}

/** The whole row of `length` for a first half. */
function mirrored(half: ComplexRow, length: number): ComplexRow {
  const whole = complexRow(length);
  for (let k = 0; k < length; k++) {
    const isMirrored = k >= half.real.length;
    const from = isMirrored ? length - k : k;
    whole.real[k] = half.real[from] ?? 0;
    whole.imaginary[k] = (half.imaginary[from] ?? 0) * (isMirrored ? -1 : 1);
  }
  return whole;
}

/** `kind`: complex to complex, real to the half of its transform, or that half back to real. */
interface Transform {
  readonly kind: "complex" | "fromReal" | "toReal";
  readonly axes: number;
  readonly isInverse: boolean;
}

function compute(grid: Grid, { kind, axes, isInverse }: Transform, lengths: readonly number[] | undefined): Grid {
  const rank = grid.shape.length;
  if (rank < axes) return refuse("a transform of more axes than the tensor has");
  const first = rank - axes;
  const wanted = lengths ?? grid.shape.slice(first);
  if (wanted.length !== axes || wanted.some((length) => length < 1)) return refuse("a transform of that length");
  if (elementCount([...grid.shape.slice(0, first), ...wanted]) > MAX_ELEMENTS)
    return refuse("a transform of that size");
  const last = axes - 1;
  const whole = (row: ComplexRow): ComplexRow => fourier(row, isInverse);
  let result = grid;
  if (kind === "fromReal") result = alongAxis(result, first + last, wanted[last] ?? 1, (row) => firstHalf(whole(row)));
  for (let axis = 0; axis < last; axis++) result = alongAxis(result, first + axis, wanted[axis] ?? 1, whole);
  if (kind === "complex") return alongAxis(result, first + last, wanted[last] ?? 1, whole);
  if (kind === "fromReal") return result;
  const length = wanted[last] ?? 1;
  return alongAxis(result, first + last, Math.floor(length / 2) + 1, (half) => whole(mirrored(half, length)));
}

function resultShape(shape: Shape, { kind, axes }: Transform, lengths: TensorValue | undefined): Shape {
  if (!shape || kind === "complex") return shape;
  const sizes = [...(knownInts(lengths) ?? Array<number>(axes).fill(-1))];
  const last = sizes.pop() ?? -1;
  sizes.push(kind === "fromReal" && last >= 0 ? Math.floor(last / 2) + 1 : last);
  return [...shape.slice(0, shape.length - axes), ...sizes];
}

function parse(name: string): Transform | undefined {
  const match = /^(I?)(R?)FFT([23]?)D?$/.exec(name);
  if (!match) return undefined;
  const isInverse = match[1] !== "";
  const kind = match[2] === "" ? "complex" : isInverse ? "toReal" : "fromReal";
  return { kind, axes: Number(match[3] || 1), isInverse };
}

/** Lowers a Fourier transform; operands: the tensor, and its lengths for the real ones. */
export function lowerTransform(
  op: Op,
  [value, lengths]: readonly (TensorValue | ComplexValue)[],
): TensorValue | ComplexValue {
  const transform = parse(op.node.op) ?? unlowerable("a transform of an unknown kind");
  const parts = value?.kind === "complex" ? [value.real, value.imaginary] : value ? [value] : [];
  const [real] = parts;
  if (!real || (transform.kind === "fromReal") !== (value?.kind === "tensor")) return unlowerable("on such operands");
  const { dtype } = real;
  if (dtype !== "float" && dtype !== "double") return unlowerable(`on ${dtype}`);
  const given = transform.kind !== "complex" && lengths?.kind === "tensor" ? lengths : undefined;
  const type = { dtype, shape: resultShape(real.shape, transform, given) };
  const run = (inputs: readonly Tensor[]): Tensor[] => {
    const [re, im] = inputs.slice(0, parts.length);
    const data = re?.data as Float64Array;
    const grid = {
      shape: re?.shape ?? [],
      real: Float64Array.from(data),
      imaginary: im ? Float64Array.from(im.data as Float64Array) : new Float64Array(data.length),
    };
    const found = compute(grid, transform, given && integers(inputs.at(-1) as Tensor));
    const tensor = (part: Float64Array): Tensor => {
      const array = newArray(dtype, part.length) as Float64Array;
      array.set(part);
      return { dtype, shape: found.shape, data: array };
    };
    return transform.kind === "toReal" ? [tensor(found.real)] : [tensor(found.real), tensor(found.imaginary)];
  };
  const call = { op: op.node.op, node: op.node.name, run: run as never };
  const [first, second] = op.emit.host(
    call,
    given ? [...parts, given] : parts,
    transform.kind === "toReal" ? [type] : [type, type],
  );
  if (!first) return unlowerable("without a result");
  return second ? { kind: "complex", real: first, imaginary: second } : first;
}
