import { type DType, elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { newArray } from "./dtype.ts";

/** Elements of an axis that are moved together: a few cache lines. */
const TILE = 32;

/** The same elements in another shape of as many. */
export function reshapeTensor(tensor: Tensor, shape: readonly number[]): Tensor {
  return { ...tensor, shape };
}

/** A numeric tensor with its axes in the order `permutation` (as ONNX's and TensorFlow's Transpose). */
export function transposeTensor(tensor: Tensor, permutation: readonly number[]): Tensor {
  const { shape, dtype, data } = tensor;
  const newShape = permutation.map((axis) => shape[axis] as number);
  const result = newArray(dtype as Exclude<DType, "string">, data.length);
  const [source, target] = [bitsOf(data as NumericArray), bitsOf(result)];
  const { sizes, order } = simplified(shape, permutation);
  const [a = 1, b = 1, c = 1] = sizes;
  // All kernels of convolutions are one of these; anything else goes element by element.
  const form = order.join("");
  if (form === "" || form === "0") target.set(source as never);
  else if (form === "10") transposeMatrix(source, target, 0, a, b);
  else if (form === "021") for (let i = 0; i < a; i++) transposeMatrix(source, target, i * b * c, b, c);
  else if (form === "210") transposeReversed(source, target, 0, [a, b, c]);
  else transposeByIndex(source, target, sizes, order);
  return { dtype, shape: newShape, data: result };
}

type Bits = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** The same memory as unsigned integers of the same size: few array types keep the inner loops fast, and NaN as it is. */
function bitsOf({ buffer, byteOffset, length, BYTES_PER_ELEMENT }: NumericArray): Bits {
  if (BYTES_PER_ELEMENT === 4) return new Uint32Array(buffer, byteOffset, length);
  if (BYTES_PER_ELEMENT === 2) return new Uint16Array(buffer, byteOffset, length);
  if (BYTES_PER_ELEMENT === 1) return new Uint8Array(buffer, byteOffset, length);
  return new BigUint64Array(buffer, byteOffset, length);
}

/**
 * The same move with fewer axes: those of size 1 left out, those that stay neighbours taken as one. Sizes are the source's, in
 * its order.
 */
function simplified(shape: readonly number[], permutation: readonly number[]): { sizes: number[]; order: number[] } {
  const runs: number[][] = [];
  for (const axis of permutation.filter((place) => shape[place] !== 1)) {
    const last = runs.at(-1);
    const isNext = last?.at(-1) !== undefined && shape.slice((last.at(-1) ?? 0) + 1, axis).every((size) => size === 1);
    if (last && isNext && axis > (last.at(-1) ?? 0)) last.push(axis);
    else runs.push([axis]);
  }
  const byPlace = runs.toSorted((x, y) => (x[0] ?? 0) - (y[0] ?? 0));
  return {
    sizes: byPlace.map((run) => elementCount(run.map((axis) => shape[axis] ?? 1))),
    order: runs.map((run) => byPlace.indexOf(run)),
  };
}

/** [rows][columns] to [columns][rows], or [outer][middle][inner] to [inner][middle][outer], block by block. */
function transposeReversed(
  source: Bits,
  target: Bits,
  base: number,
  [outer, middle, inner]: readonly [number, number, number],
): void {
  for (let middleTile = 0; middleTile < middle; middleTile += TILE) {
    const middleEnd = Math.min(middleTile + TILE, middle);
    for (let innerTile = 0; innerTile < inner; innerTile += TILE) {
      const innerEnd = Math.min(innerTile + TILE, inner);
      for (let m = middleTile; m < middleEnd; m++) {
        for (let i = innerTile; i < innerEnd; i++) {
          const to = base + (i * middle + m) * outer;
          const from = base + m * inner + i;
          const step = middle * inner;
          for (let o = 0; o < outer; o++) target[to + o] = source[from + o * step] as never;
        }
      }
    }
  }
}

/** As `transposeReversed` for a long outer axis and no middle one: the outer axis is cut into tiles too. */
function transposeMatrix(source: Bits, target: Bits, base: number, rows: number, columns: number): void {
  for (let rowTile = 0; rowTile < rows; rowTile += TILE) {
    const rowEnd = Math.min(rowTile + TILE, rows);
    for (let columnTile = 0; columnTile < columns; columnTile += TILE) {
      const columnEnd = Math.min(columnTile + TILE, columns);
      for (let column = columnTile; column < columnEnd; column++) {
        const to = base + column * rows;
        for (let row = rowTile; row < rowEnd; row++) target[to + row] = source[base + row * columns + column] as never;
      }
    }
  }
}

function transposeByIndex(source: Bits, target: Bits, shape: readonly number[], permutation: readonly number[]): void {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const sizes = permutation.map((axis) => shape[axis] as number);
  const steps = permutation.map((axis) => strides[axis] as number);
  const inner = sizes.at(-1) ?? 1;
  const innerStep = steps.at(-1) ?? 0;
  const counters = sizes.map(() => 0);
  let from = 0;
  for (let to = 0; to < target.length; to += inner) {
    for (let i = 0; i < inner; i++) target[to + i] = source[from + i * innerStep] as never;
    for (let axis = sizes.length - 2; axis >= 0; axis--) {
      from += steps[axis] as number;
      counters[axis] = (counters[axis] as number) + 1;
      if ((counters[axis] as number) < (sizes[axis] as number)) break;
      from -= (steps[axis] as number) * (sizes[axis] as number);
      counters[axis] = 0;
    }
  }
}
