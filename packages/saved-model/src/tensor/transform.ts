import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";

const TILE = 32;

/** The same elements in another shape of as many. */
export function reshapeTensor(tensor: Tensor, shape: readonly number[]): Tensor {
  return { ...tensor, shape };
}

/** A numeric tensor with its axes in the order `permutation` (as ONNX's and TensorFlow's Transpose). */
export function transposeTensor(tensor: Tensor, permutation: readonly number[]): Tensor {
  const { shape, dtype } = tensor;
  const newShape = permutation.map((axis) => shape[axis] as number);
  const source = tensor.data as NumericArray;
  const target = source.slice();
  // Blocks of the axes that stay behind each other are moved as (outer, inner) matrices where the permutation only swaps two
  // runs of axes, as it does for all kernels; anything else goes element by element.
  if (!transposeAsMatrix(source, target, shape, permutation)) transposeByIndex(source, target, shape, permutation);
  return { dtype, shape: newShape, data: target };
}

/** Handles permutations that keep a prefix and swap the two runs that follow. */
function transposeAsMatrix(
  source: NumericArray,
  target: NumericArray,
  shape: readonly number[],
  permutation: readonly number[],
): boolean {
  const kept = permutation.findIndex((axis, place) => axis !== place);
  if (kept === -1) return true;
  const split = permutation[kept] as number;
  const rank = shape.length;
  const isSwap = permutation.every(
    (axis, place) =>
      place < kept || axis === (place - kept < rank - split ? split + place - kept : place - (rank - split)),
  );
  if (!isSwap) return false;
  const batch = elementCount(shape.slice(0, kept));
  const rows = elementCount(shape.slice(kept, split));
  const columns = elementCount(shape.slice(split));
  for (let b = 0; b < batch; b++) transposeMatrix(source, target, b * rows * columns, rows, columns);
  return true;
}

function transposeMatrix(
  source: NumericArray,
  target: NumericArray,
  base: number,
  rows: number,
  columns: number,
): void {
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

function transposeByIndex(
  source: NumericArray,
  target: NumericArray,
  shape: readonly number[],
  permutation: readonly number[],
): void {
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
