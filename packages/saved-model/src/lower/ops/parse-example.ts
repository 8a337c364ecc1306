import { elementCount, type DType, type Tensor } from "@cloister/encoding/tensor";
import { fromUtf8 } from "@cloister/encoding";
import { type DenseFeature, ExampleBatch, type ListFeature, type RaggedFeature } from "../../host/example.ts";
import { strings } from "../../host/elements.ts";
import { type Type, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { TensorValue } from "../value.ts";

export interface Columns {
  readonly sparse: readonly ListFeature[];
  readonly dense: readonly DenseFeature[];
  readonly ragged: readonly RaggedFeature[];
}

/** Keys that are constants of the graph, as every export has them. */
export function constantKeys(value: TensorValue): string[] {
  const tensor = value.constant ?? unlowerable("feature keys that are computed");
  return strings(tensor).map((bytes) => fromUtf8(bytes) ?? unlowerable("a feature key that is no text"));
}

/** Features with the shapes of one attribute and the dtypes of another. */
export function denseFeatures(
  { attributes }: Op,
  keys: readonly string[],
  dtypesName = "Tdense",
  shapesName = "dense_shapes",
): DenseFeature[] {
  const dtypes = attributes.dtypes(dtypesName);
  const shapes = attributes.shapes(shapesName);
  return keys.map((key, index) => {
    const shape = shapes[index] ?? unlowerable(`the feature ${key} of unknown rank`);
    if (shape.slice(1).includes(-1)) unlowerable(`the feature ${key} of unknown shape`);
    return { key, dtype: dtypes[index] ?? unlowerable("keys without dtypes"), shape };
  });
}

export function listFeatures(keys: readonly string[], dtypes: readonly DType[]): ListFeature[] {
  return keys.map((key, index) => ({ key, dtype: dtypes[index] ?? unlowerable("keys without dtypes") }));
}

export function raggedFeatures(
  keys: readonly string[],
  dtypes: readonly DType[],
  splits: readonly DType[],
): RaggedFeature[] {
  return listFeatures(keys, dtypes).map(({ key, dtype }, index) => ({
    key,
    dtype,
    splitDType: splits[index] ?? "int64",
  }));
}

/** Types of the results, in their order: sparse indices, values and shapes, dense values, ragged values and splits. */
export function resultTypes({ sparse, dense, ragged }: Columns): Type[] {
  return [
    ...sparse.map((): Type => ({ dtype: "int64", shape: [-1, 2] })),
    ...sparse.map(({ dtype }): Type => ({ dtype, shape: [-1] })),
    ...sparse.map((): Type => ({ dtype: "int64", shape: [2] })),
    ...dense.map(({ dtype, shape }): Type => ({ dtype, shape: [-1, ...shape] })),
    ...ragged.map(({ dtype }): Type => ({ dtype, shape: [-1] })),
    ...ragged.map(({ splitDType }): Type => ({ dtype: splitDType, shape: [-1] })),
  ];
}

export function parse(batch: ExampleBatch, columns: Columns, defaults: readonly Tensor[]): Tensor[] {
  const sparse = columns.sparse.map((feature) => batch.sparse(feature));
  const ragged = columns.ragged.map((feature) => batch.ragged(feature));
  return [
    ...sparse.map(([indices]) => indices),
    ...sparse.map(([, values]) => values),
    ...sparse.map(([, , shape]) => shape),
    ...columns.dense.map((feature, index) => batch.dense(feature, defaults[index] as Tensor)),
    ...ragged.map(([values]) => values),
    ...ragged.map(([, splits]) => splits),
  ];
}

/** The results for one example, which have no batch dimension. */
export function withoutBatch(columns: Columns, whole: readonly Tensor[]): Tensor[] {
  const count = columns.sparse.length;
  return whole.map((tensor, index) => {
    if (index < count) return everySecond(tensor, [elementCount(tensor.shape) / 2, 1]);
    if (index >= 2 * count && index < 3 * count) return everySecond(tensor, [1]);
    const isDense = index >= 3 * count && index < 3 * count + columns.dense.length;
    return isDense ? { dtype: tensor.dtype, shape: tensor.shape.slice(1), data: tensor.data } : tensor;
  });
}

/** Types of those results. */
export function typesWithoutBatch(columns: Columns): Type[] {
  const count = columns.sparse.length;
  return resultTypes(columns).map(({ dtype, shape }, index): Type => {
    if (index < count) return { dtype, shape: [-1, 1] };
    if (index >= 2 * count && index < 3 * count) return { dtype, shape: [1] };
    const isDense = index >= 3 * count && index < 3 * count + columns.dense.length;
    return { dtype, shape: isDense ? shape?.slice(1) : shape };
  });
}

/** One operand holds the examples: a vector of them, or a single one. */
function parseOperands(op: Op, columns: Columns, defaults: readonly TensorValue[]): TensorValue[] {
  const { shape } = op.input(0);
  const batched = resultTypes(columns);
  const open = batched.map(({ dtype }): Type => ({ dtype, shape: undefined }));
  const types = !shape ? open : shape.length === 0 ? typesWithoutBatch(columns) : batched;
  const run = ([serialized, ...given]: readonly Tensor[]): Tensor[] => {
    const whole = parse(ExampleBatch.read(strings(serialized as Tensor)), columns, given);
    return serialized?.shape.length === 0 ? withoutBatch(columns, whole) : whole;
  };
  return op.emit.host({ op: op.node.op, node: op.node.name, run }, [op.input(0), ...defaults], types);
}

/** Operands: examples, names, sparse keys, dense keys, dense defaults, each list spread out. */
const parseExample: Lowering = (op) => {
  const sparseCount = op.attributes.int("Nsparse", 0);
  const denseCount = op.attributes.int("Ndense", 0);
  const lists = op.inputs.slice(2);
  const keys = (from: number, count: number): string[] => lists.slice(from, from + count).flatMap(constantKeys);
  const columns: Columns = {
    sparse: listFeatures(keys(0, sparseCount), op.attributes.dtypes("sparse_types")),
    dense: denseFeatures(op, keys(sparseCount, denseCount)),
    ragged: [],
  };
  return parseOperands(op, columns, lists.slice(sparseCount + denseCount));
};

/** Operands: examples, names, sparse keys, dense keys, ragged keys (a vector each), dense defaults. */
const parseExampleV2: Lowering = (op) => {
  const columns: Columns = {
    sparse: listFeatures(constantKeys(op.input(2)), op.attributes.dtypes("sparse_types")),
    dense: denseFeatures(op, constantKeys(op.input(3))),
    ragged: raggedFeatures(
      constantKeys(op.input(4)),
      op.attributes.dtypes("ragged_value_types"),
      op.attributes.dtypes("ragged_split_types"),
    ),
  };
  return parseOperands(op, columns, op.inputs.slice(5));
};

/** One example: results have no batch dimension. Operands: the example, dense defaults. */
const parseSingleExample: Lowering = (op) => {
  const columns: Columns = {
    sparse: listFeatures(op.attributes.strings("sparse_keys"), op.attributes.dtypes("sparse_types")),
    dense: denseFeatures(op, op.attributes.strings("dense_keys")),
    ragged: [],
  };
  return parseOperands(op, columns, op.inputs.slice(1));
};

/** The column numbers of coordinates, or the width of a shape. */
function everySecond({ data }: Tensor, shape: readonly number[]): Tensor {
  return { dtype: "int64", shape, data: (data as BigInt64Array).filter((_, index) => index % 2 === 1) };
}

export const PARSE_EXAMPLE: LoweringTable = {
  ParseExample: parseExample,
  ParseExampleV2: parseExampleV2,
  ParseSingleExample: parseSingleExample,
};
