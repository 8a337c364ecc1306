// Ragged tensors in one piece, as variants hold them: TensorList ops carry the rows of ragged tensors so through loops.

import type { DType, Tensor } from "@cloister/encoding/tensor";
import { int64Tensor, integers, strings, stringTensor } from "./elements.ts";
import { concatItems, rowsBetween } from "./list.ts";
import { refuse } from "./refusal.ts";
import { readTensor, writeTensor } from "./tensor-message.ts";

export interface RaggedTensor {
  /** Where the rows of each ragged axis begin, outermost first. None: the values are all there is. */
  readonly splits: readonly (readonly number[])[];
  readonly values: Tensor;
}

/** The ragged tensor as bytes: a message of the messages of its splits and, last, its values. */
export function writeRagged({ splits, values }: RaggedTensor): Uint8Array {
  const parts = [...splits.map((each) => int64Tensor([each.length], each)), values].map(writeTensor);
  return writeTensor(stringTensor([parts.length], parts));
}

/** @throws HostRefusal for bytes of another kind, also where an item of a list was never written */
export function readRagged(bytes: Uint8Array, dtype: DType): RaggedTensor {
  const parts = strings(readTensor(bytes, "string"));
  const values = parts.at(-1) ?? refuse("a variant holds no ragged tensor");
  const splits = parts.slice(0, -1).map((part) => integers(readTensor(part, "int64")));
  return { splits, values: readTensor(values, dtype) };
}

/** The rows of the outermost axis, each with one ragged axis less. */
export function rowsOf({ splits: [outer, ...inner], values }: RaggedTensor): RaggedTensor[] {
  if (!outer) return refuse("a tensor without a ragged axis");
  return Array.from({ length: outer.length - 1 }, (_, row) => {
    let [begin, end] = boundsOf(outer, row, row + 1);
    const splits = inner.map((each) => {
      const [first, last] = boundsOf(each, begin, end);
      const own = each.slice(begin, end + 1).map((start) => start - first);
      [begin, end] = [first, last];
      return own;
    });
    if (end > (values.shape[0] ?? 0)) return refuse("the rows of a ragged tensor reach beyond its values");
    return { splits, values: rowsBetween(values, begin, end) };
  });
}

/** Where rows from one number to another begin and end. */
function boundsOf(splits: readonly number[], from: number, to: number): [begin: number, end: number] {
  const [begin = -1, end = -1] = [splits[from], splits[to]];
  return begin >= 0 && begin <= end ? [begin, end] : refuse("the rows of a ragged tensor are out of order");
}

/**
 * Many ragged tensors as one.
 * @param sizes of the axes that they stand along: as many as the product of these
 * @param depth ragged axes of each of them
 */
export function joinRagged(
  parts: readonly RaggedTensor[],
  sizes: readonly number[],
  depth: number,
  dtype: DType,
): RaggedTensor {
  if (parts.some(({ splits }) => splits.length !== depth))
    return refuse("variants hold ragged tensors of another depth");
  const [only] = parts;
  if (sizes.length === 0 && only) return only;
  let count = sizes[0] ?? 0;
  const outer = sizes.slice(1).map((size) => {
    const splits = Array.from({ length: count + 1 }, (_, row) => row * size);
    count *= size;
    return splits;
  });
  const values = concatItems({ dtype, items: parts.map((part) => part.values) }, [0]);
  const inner = Array.from({ length: depth }, (_, axis) =>
    endsOf(parts.flatMap(({ splits }) => lengthsOf(splits[axis] ?? []))),
  );
  const rows = depth === 0 ? values.lengths : parts.map(({ splits }) => (splits[0]?.length ?? 1) - 1);
  return { splits: [...outer, endsOf(rows), ...inner], values: values.whole };
}

function lengthsOf(splits: readonly number[]): number[] {
  return splits.slice(1).map((end, row) => end - (splits[row] ?? 0));
}

function endsOf(lengths: readonly number[]): number[] {
  let end = 0;
  return [0, ...lengths.map((length) => (end += length))];
}
