// Lists of tensors (TensorList*, TensorArray*) that the host holds, since ONNX Runtime's sequences cannot leave it.

import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { newArray } from "../tensor/dtype.ts";
import { refuse } from "./refusal.ts";

/** More items than this are refused: a loop that writes for ever would fill the memory. */
const MAX_ITEMS = 2 ** 24;

/** A list of tensors of one dtype. Changes make a new one. */
export interface HostList {
  readonly dtype: DType;
  /** `undefined` where nothing has been written yet. */
  readonly items: readonly (Tensor | undefined)[];
}

export function emptyList(dtype: DType, count: number): HostList {
  if (count < 0 || count > MAX_ITEMS) refuse("a list has an impossible length");
  return { dtype, items: Array.from({ length: count }) };
}

/** The rows of a tensor as items. */
export function listOfRows(tensor: Tensor): HostList {
  const [count = refuse("a scalar has no rows"), ...item] = tensor.shape;
  const items = Array.from({ length: count }, (_, row) => ({ ...rowsBetween(tensor, row, row + 1), shape: item }));
  return { dtype: tensor.dtype, items };
}

/** As many rows of a tensor as `lengths` says for each item. */
export function listOfParts(tensor: Tensor, lengths: readonly number[]): HostList {
  const count = tensor.shape[0] ?? refuse("a scalar has no rows");
  if (lengths.some((length) => length < 0) || lengths.reduce((a, b) => a + b, 0) !== count) {
    return refuse("the lengths of a list's items do not add up to the rows of the tensor");
  }
  let begin = 0;
  const items = lengths.map((length) => {
    const end = begin + length;
    const item = rowsBetween(tensor, begin, end);
    begin = end;
    return item;
  });
  return { dtype: tensor.dtype, items };
}

/** Rows from one number to another, which the tensor has. */
export function rowsBetween({ dtype, shape, data }: Tensor, begin: number, end: number): Tensor {
  const inner = shape.slice(1);
  const size = elementCount(inner);
  return { dtype, shape: [end - begin, ...inner], data: data.slice(begin * size, end * size) };
}

/** `shape` is what an item has that was never written: zeros. */
export function itemOf(list: HostList, index: number, shape?: readonly number[]): Tensor {
  if (index < 0 || index >= list.items.length) return refuse("an index is outside of a list");
  return list.items[index] ?? zeros(list.dtype, shape ?? list.items.find((item) => item !== undefined)?.shape);
}

function zeros(dtype: DType, shape: readonly number[] | undefined): Tensor {
  if (!shape || shape.some((size) => size < 0)) return refuse("an item of a list was never written");
  const count = elementCount(shape);
  if (dtype === "string") return { dtype, shape, data: Array.from({ length: count }, () => new Uint8Array()) };
  return { dtype, shape, data: newArray(dtype, count) };
}

/** `grows`: an index beyond the end makes the list longer. */
export function withItem(list: HostList, index: number, item: Tensor, grows: boolean): HostList {
  const { length } = list.items;
  if (index < 0 || (index >= length && !grows) || index >= MAX_ITEMS) return refuse("an index is outside of a list");
  const items = index < length ? [...list.items] : [...list.items, ...emptyList(list.dtype, index - length + 1).items];
  items[index] = item;
  return { ...list, items };
}

export function resized(list: HostList, count: number): HostList {
  const { length } = list.items;
  const more = count > length ? emptyList(list.dtype, count - length).items : [];
  return { ...list, items: [...list.items.slice(0, Math.max(count, 0)), ...more] };
}

/** The items as rows of one tensor. */
export function stackItems(list: HostList, shape?: readonly number[]): Tensor {
  const first = list.items.find((item) => item !== undefined);
  const item = first?.shape ?? shape;
  if (!item || item.some((size) => size < 0)) return refuse("the shape of a list's items is not known");
  const rows = list.items.map((_, index) => itemOf(list, index, item));
  if (rows.some((row) => row.shape.join() !== item.join())) return refuse("the items of a list differ in shape");
  return joined(list.dtype, rows, [rows.length, ...item]);
}

/** The items one after the other along their first axis, and how long each is there. */
export function concatItems(list: HostList, shape?: readonly number[]): { whole: Tensor; lengths: number[] } {
  const rows = list.items.map((_, index) => itemOf(list, index, shape));
  const rest = (rows[0]?.shape ?? shape)?.slice(1) ?? refuse("the shape of a list's items is not known");
  if (rows.some((row) => row.shape.length === 0 || row.shape.slice(1).join() !== rest.join())) {
    return refuse("the items of a list differ in shape");
  }
  const lengths = rows.map((row) => row.shape[0] ?? 0);
  return { whole: joined(list.dtype, rows, [lengths.reduce((a, b) => a + b, 0), ...rest]), lengths };
}

function joined(dtype: DType, parts: readonly Tensor[], shape: readonly number[]): Tensor {
  if (dtype === "string") return { dtype, shape, data: parts.flatMap((part) => part.data as readonly Uint8Array[]) };
  const data = newArray(dtype, elementCount(shape));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data as never, offset);
    offset += part.data.length;
  }
  return { dtype, shape, data };
}
