import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";

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
