// Crossed features: every combination of one value from each column, row by row. Wide models and feature columns are made of them.

import type { DType, Tensor } from "@cloister/encoding/tensor";
import { fingerprint64 } from "../../host/farmhash.ts";
import { type Element, elementsOf, fromElements, int64Tensor, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { joinFingerprints } from "../../host/murmur.ts";
import { sipHash } from "../../host/siphash.ts";
import { u64 } from "../../host/words.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";

/** Columns multiply: no row may have more combinations, nor all rows together. */
const MAX_CROSSES = 2 ** 22;

/** For each row the values of a feature. */
type Column = readonly (readonly Element[])[];

/** The result of a combination. */
type Cross = (values: readonly Element[]) => Element;

function columnOfSparse(indices: Tensor, values: Tensor, rows: number): Column {
  const [, rank = 0] = indices.shape;
  const flat = integers(indices);
  const column = Array.from({ length: rows }, (): Element[] => []);
  for (const [index, value] of elementsOf(values).entries()) {
    (column[flat[index * rank] ?? -1] ?? refuse("a coordinate is outside of its tensor")).push(value);
  }
  return column;
}

function columnOfDense(tensor: Tensor): Column {
  const [rows = 0, width = 0] = tensor.shape;
  const values = elementsOf(tensor);
  return Array.from({ length: rows }, (_, row) => values.slice(row * width, (row + 1) * width));
}

function columnOfRagged(values: Tensor, splits: Tensor): Column {
  const elements = elementsOf(values);
  const ends = integers(splits);
  return ends.slice(1).map((end, row) => elements.slice(ends[row], end));
}

/** Combinations of each row; those of the last column change first. */
function crossed(columns: readonly Column[], rows: number, cross: Cross): readonly (readonly Element[])[] {
  let total = 0;
  return Array.from({ length: rows }, (_, row) => {
    const own = columns.map((column) => column[row] ?? refuse("columns differ in their number of rows"));
    const count = own.reduce((product, { length }) => product * length, 1);
    total += count;
    if (total > MAX_CROSSES) refuse("too many combinations");
    return Array.from({ length: count }, (__, index) => {
      let rest = index;
      const values = own.toReversed().map((options) => {
        const value = options[rest % options.length] as Element;
        rest = Math.floor(rest / options.length);
        return value;
      });
      return cross(values.reverse());
    });
  });
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

function fingerprint(value: Element): bigint {
  return typeof value === "string" ? fingerprint64(bytesOf(value)) : u64(value);
}

/** `seed` goes in front of all values; without buckets the result only loses its sign. */
function hashing(buckets: bigint, seed: bigint | undefined, hash: (value: Element) => bigint): Cross {
  return (values) => {
    const hashes = values.map(hash);
    const all = seed === undefined ? hashes : [seed, ...hashes];
    return all.reduce(joinFingerprints) % (buckets > 0n ? buckets : 2n ** 63n - 1n);
  };
}

const joining =
  (separator: string): Cross =>
  (values) =>
    values.map(String).join(separator);

function sparseResult(rows: readonly (readonly Element[])[], dtype: DType): Tensor[] {
  const indices = rows.flatMap((row, at) => row.flatMap((_, index) => [at, index]));
  const width = rows.reduce((most, { length }) => Math.max(most, length), 0);
  return [
    int64Tensor([indices.length / 2, 2], indices),
    fromElements(dtype, [indices.length / 2], rows.flat()),
    int64Tensor([2], [rows.length, width]),
  ];
}

/** Operands: indices, values and shapes of sparse columns, dense columns, and what the op itself adds. */
function sparseCross(dtypeOf: (op: Op) => DType, prepare: (op: Op) => (own: readonly Tensor[]) => Cross): Lowering {
  return hostOp(
    (op) => [
      { dtype: "int64", shape: [-1, 2] },
      { dtype: dtypeOf(op), shape: [-1] },
      { dtype: "int64", shape: [2] },
    ],
    (op) => {
      const count = op.attributes.int("N", 0);
      const denseCount = op.attributes.dtypes("dense_types").length;
      const dtype = dtypeOf(op);
      const crossOf = prepare(op);
      return (inputs) => {
        const part = (from: number, length: number): readonly Tensor[] => inputs.slice(from, from + length);
        const [indices, values, shapes] = [part(0, count), part(count, count), part(2 * count, count)];
        const dense = part(3 * count, denseCount);
        const first = shapes[0] ? integers(shapes[0])[0] : dense[0]?.shape[0];
        const rows = first ?? refuse("nothing to cross");
        if (rows < 0 || rows > MAX_CROSSES) return refuse("too many rows");
        const columns = [
          ...indices.map((each, index) => columnOfSparse(each, values[index] as Tensor, rows)),
          ...dense.map(columnOfDense),
        ];
        return sparseResult(crossed(columns, rows, crossOf(inputs.slice(3 * count + denseCount))), dtype);
      };
    },
  );
}

/** The hash of attributes `num_buckets` and `hash_key`, which starts the chain. */
function keyedHash(op: Op): Cross {
  const buckets = op.attributes.int("num_buckets", 0);
  return hashing(BigInt(buckets), u64(op.attributes.bigint("hash_key", 0n)), fingerprint);
}

const crossText = "_X_";

const crossColumns = sparseCross(
  (op) => op.attributes.dtype("out_type") ?? "int64",
  (op) => {
    const cross = op.attributes.bool("hashed_output", false) ? keyedHash(op) : joining(crossText);
    return () => cross;
  },
);

const crossWithSeparator = sparseCross(
  () => "string",
  () => (own) => joining(String(own[0] ? elementsOf(own[0])[0] : crossText)),
);

/** Of a number, its lower four bytes: TensorFlow's kernel takes no more. */
function hashedBytes(value: Element): Uint8Array {
  if (typeof value === "string") return bytesOf(value);
  return new Uint8Array(Int32Array.of(Number(BigInt.asIntN(32, BigInt(value)))).buffer);
}

/** Its own operands: number of buckets, whether the hash is a keyed one, and that key. */
const crossHashed = sparseCross(
  () => "int64",
  () =>
    ([buckets, isStrong, salt]) => {
      const key = elementsOf(salt as Tensor).map((each) => u64(each));
      const hash = elementsOf(isStrong as Tensor)[0]
        ? (value: Element): bigint => sipHash(hashedBytes(value), [key[0] ?? 0n, key[1] ?? 0n])
        : (value: Element): bigint => fingerprint64(hashedBytes(value));
      return hashing(BigInt(elementsOf(buckets as Tensor)[0] ?? 0), undefined, hash);
    },
);

/** Columns of all kinds, in the order that `input_order` says: R for ragged, S for sparse, D for dense. */
const crossRagged: Lowering = hostOp(
  (op) => [
    { dtype: op.attributes.requireDType("out_values_type"), shape: [-1] },
    { dtype: op.attributes.requireDType("out_row_splits_type"), shape: [-1] },
  ],
  (op) => {
    const count = (name: string): number => op.attributes.dtypes(name).length;
    const [ragged, sparse, dense] = [count("ragged_values_types"), count("sparse_values_types"), count("dense_types")];
    const order = op.attributes.string("input_order", "");
    if (order.length !== ragged + sparse + dense) return unlowerable("columns of an unknown order");
    const cross = op.attributes.bool("hashed_output", false) ? keyedHash(op) : joining(crossText);
    const dtype = op.attributes.requireDType("out_values_type");
    const splitsDType = op.attributes.requireDType("out_row_splits_type");
    return (inputs) => {
      const [values, splits] = [inputs.slice(0, ragged), inputs.slice(ragged, 2 * ragged)];
      const rest = inputs.slice(2 * ragged);
      const raggedColumns = values.map((each, index) => columnOfRagged(each, splits[index] as Tensor));
      const sparseColumns = rest.slice(0, sparse).map((each, index) => {
        const rows = integers(rest[2 * sparse + index] as Tensor)[0] ?? 0;
        if (rows < 0 || rows > MAX_CROSSES) return refuse("too many rows");
        return columnOfSparse(each, rest[sparse + index] as Tensor, rows);
      });
      const columnsOf = {
        R: raggedColumns.values(),
        S: sparseColumns.values(),
        D: rest
          .slice(3 * sparse)
          .map(columnOfDense)
          .values(),
      };
      const columns = Array.from(order, (kind) => columnsOf[kind as "R" | "S" | "D"].next().value ?? []);
      const rows = crossed(columns, columns[0]?.length ?? 0, cross);
      let end = 0;
      const ends = [0, ...rows.map(({ length }) => (end += length))];
      return [
        fromElements(dtype, [end], rows.flat()),
        fromElements(splitsDType, [ends.length], splitsDType === "int64" ? ends.map(BigInt) : ends),
      ];
    };
  },
);

export const CROSSING: LoweringTable = {
  RaggedCross: crossRagged,
  SparseCross: crossColumns,
  SparseCrossHashed: crossHashed,
  SparseCrossV2: crossWithSeparator,
};
