import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import { callError } from "./errors.ts";

/** Elements of one row: a slice along the first dimension. */
function rowLength({ shape }: Tensor): number {
  return elementCount(shape.slice(1));
}

/** Rows `start` to `end` as a tensor with memory of its own. */
export function sliceRows(tensor: Tensor, start: number, end: number): Tensor {
  const length = rowLength(tensor);
  const data = tensor.data.slice(start * length, end * length);
  return { dtype: tensor.dtype, shape: [end - start, ...tensor.shape.slice(1)], data };
}

/** The rows of all parts one after the other. They have one dtype and one shape beyond the first dimension. */
export function joinRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (first === undefined) throw new TypeError("no parts");
  const rows = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const shape = [rows, ...first.shape.slice(1)];
  const joined = layoutOf(first.dtype).allocate?.(elementCount(shape));
  if (joined === undefined)
    return { dtype: first.dtype, shape, data: parts.flatMap(({ data }) => data as Uint8Array[]) };
  let offset = 0;
  for (const { data } of parts) {
    (joined as Float64Array).set(data as NumericArray as Float64Array, offset);
    offset += data.length;
  }
  return { dtype: first.dtype, shape, data: joined };
}

/**
 * Tensors of one rank filled up to the largest size in each dimension but the first, each with its own first element, as TensorFlow
 * Serving does (batching_util.cc). Throws INVALID_ARGUMENT where one that has to be filled is empty.
 */
export function paddedAlike(tensors: readonly Tensor[]): readonly Tensor[] {
  const [first] = tensors;
  const rest = first?.shape.slice(1) ?? [];
  const largest = rest.map((_, axis) => Math.max(...tensors.map(({ shape }) => shape[axis + 1] ?? 0)));
  return tensors.map((tensor) =>
    tensor.shape.slice(1).every((size, axis) => size === largest[axis]) ? tensor : padded(tensor, largest),
  );
}

function padded({ dtype, shape, data }: Tensor, rest: readonly number[]): Tensor {
  const [filler] = data;
  if (filler === undefined) throw callError("INVALID_ARGUMENT", "Got empty tensor in batch of non-empty tensors.");
  const wanted = [shape[0] ?? 0, ...rest];
  const filled =
    layoutOf(dtype).allocate?.(elementCount(wanted)) ?? Array.from({ length: elementCount(wanted) }, () => filler);
  (filled as unknown[]).fill(filler);
  // Rows of the last dimension stay together; only where they begin changes.
  const length = shape.at(-1) ?? 1;
  for (let run = 0; run * length < data.length; run++) {
    const target = offsetIn(wanted, shape, run);
    for (let index = 0; index < length; index++) filled[target + index] = data[run * length + index] as never;
  }
  return { dtype, shape: wanted, data: filled as Tensor["data"] };
}

/** Where the `run`-th row of the last dimension of a tensor of shape `from` begins in one of shape `to`. */
function offsetIn(to: readonly number[], from: readonly number[], run: number): number {
  let offset = 0;
  let stride = to.at(-1) ?? 1;
  let left = run;
  for (let axis = from.length - 2; axis >= 0; axis--) {
    const size = from[axis] ?? 1;
    offset += (left % size) * stride;
    left = Math.floor(left / size);
    stride *= to[axis] ?? 1;
  }
  return offset;
}
