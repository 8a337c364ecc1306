import type { Tensor } from "@cloister/encoding/tensor";
import { strings } from "../../host/elements.ts";
import type { ListFeature, RaggedFeature } from "../../host/example.ts";
import { type DenseListFeature, noSplits, SequenceExampleBatch } from "../../host/sequence-example.ts";
import { type Type, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { TensorValue } from "../value.ts";
import {
  type Columns,
  constantKeys,
  denseFeatures,
  listFeatures,
  parse,
  raggedFeatures,
  resultTypes,
  typesWithoutBatch,
  withoutBatch,
} from "./parse-example.ts";

/** What is asked of a message: features of its context, and lists of features. */
interface SequenceColumns {
  readonly context: Columns;
  readonly sparse: readonly ListFeature[];
  readonly dense: readonly DenseListFeature[];
  readonly ragged: readonly RaggedFeature[];
}

/** Types of the results, in their order: those of the context, then those of the lists. */
function sequenceTypes({ context, sparse, dense, ragged }: SequenceColumns, isSingle: boolean): Type[] {
  const batch = isSingle ? [] : [-1];
  const axes = batch.length + 2;
  const types = isSingle ? typesWithoutBatch(context) : resultTypes(context);
  const count = types.length - context.ragged.length;
  return [
    ...types.map(({ dtype, shape }, index): Type => ({ dtype, shape: isSingle && index >= count ? [] : shape })),
    ...sparse.map((): Type => ({ dtype: "int64", shape: [-1, axes] })),
    ...sparse.map(({ dtype }): Type => ({ dtype, shape: [-1] })),
    ...sparse.map((): Type => ({ dtype: "int64", shape: [axes] })),
    ...dense.map(({ dtype, shape }): Type => ({ dtype, shape: [...batch, -1, ...shape] })),
    ...dense.map((): Type => ({ dtype: "int64", shape: batch })),
    ...ragged.map(({ dtype }): Type => ({ dtype, shape: [-1] })),
    ...ragged.map(({ splitDType }): Type => ({ dtype: splitDType, shape: batch })),
    ...ragged.map(({ splitDType }): Type => ({ dtype: splitDType, shape: [-1] })),
  ];
}

function parseSequences(serialized: Tensor, columns: SequenceColumns, defaults: readonly Tensor[]): Tensor[] {
  const isSingle = serialized.shape.length === 0;
  const batch = new SequenceExampleBatch(strings(serialized), isSingle);
  const sparse = columns.sparse.map((feature) => batch.sparse(feature));
  const dense = columns.dense.map((feature) => batch.dense(feature));
  const ragged = columns.ragged.map((feature) => batch.ragged(feature));
  const context = parse(batch.context, columns.context, defaults);
  return [
    ...(isSingle ? contextOfOne(columns.context, context) : context),
    ...sparse.map(([indices]) => indices),
    ...sparse.map(([, values]) => values),
    ...sparse.map(([, , shape]) => shape),
    ...dense.map(([values]) => values),
    ...dense.map(([, lengths]) => lengths),
    ...ragged.map(([values]) => values),
    ...ragged.map(([, outer]) => outer),
    ...ragged.map(([, , inner]) => inner),
  ];
}

function contextOfOne(columns: Columns, whole: readonly Tensor[]): Tensor[] {
  const { ragged } = columns;
  return [
    ...withoutBatch(columns, whole).slice(0, whole.length - ragged.length),
    ...ragged.map(({ splitDType }) => noSplits(splitDType)),
  ];
}

function parseOperands(op: Op, columns: SequenceColumns, defaults: readonly TensorValue[]): TensorValue[] {
  const { shape } = op.input(0);
  const known = sequenceTypes(columns, shape?.length === 0);
  const types = shape ? known : known.map(({ dtype }): Type => ({ dtype, shape: undefined }));
  const run = ([serialized, ...given]: readonly Tensor[]): Tensor[] =>
    parseSequences(serialized as Tensor, columns, given);
  return op.emit.host({ op: op.node.op, node: op.node.name, run }, [op.input(0), ...defaults], types);
}

/** The columns of the ops' common attributes, in the order sparse and dense of the context, sparse and dense of the lists. */
function columnsOf(
  op: Op,
  keys: readonly (readonly string[])[],
  mayBeMissing: (key: string, index: number) => boolean,
): SequenceColumns {
  const [sparse = [], dense = [], listSparse = [], listDense = []] = keys;
  const lists = denseFeatures(op, listDense, "feature_list_dense_types", "feature_list_dense_shapes");
  if (lists.some(({ shape }) => shape.includes(-1))) unlowerable("a feature list whose steps are of unknown shape");
  return {
    context: {
      sparse: listFeatures(sparse, op.attributes.dtypes("context_sparse_types")),
      dense: denseFeatures(op, dense, "Tcontext_dense", "context_dense_shapes"),
      ragged: [],
    },
    sparse: listFeatures(listSparse, op.attributes.dtypes("feature_list_sparse_types")),
    dense: lists.map(({ key, dtype, shape }, index) => ({ key, dtype, shape, mayBeMissing: mayBeMissing(key, index) })),
    ragged: [],
  };
}

/** Operands: examples, names, dense defaults of the context; the keys are attributes. */
const parseSequenceExample: Lowering = (op) => {
  const missing = op.attributes.strings("feature_list_dense_missing_assumed_empty");
  const names = ["context_sparse", "context_dense", "feature_list_sparse", "feature_list_dense"];
  const keys = names.map((name) => op.attributes.strings(`${name}_keys`));
  return parseOperands(
    op,
    columnsOf(op, keys, (key) => missing.includes(key)),
    op.inputs.slice(2),
  );
};

/**
 * Operands: examples, names, keys of the context (sparse, dense, ragged) and of the lists (the same), which dense lists may be missing, and
 * dense defaults of the context.
 */
const parseSequenceExampleV2: Lowering = (op) => {
  const [sparse = [], dense = [], ragged = [], listSparse = [], listDense = [], listRagged = []] = op.inputs
    .slice(2, 8)
    .map(constantKeys);
  const missing = (op.input(8).constant ?? unlowerable("flags that are computed")).data;
  const columns = columnsOf(op, [sparse, dense, listSparse, listDense], (_, index) => missing[index] === 1);
  const { attributes } = op;
  const raggedOf = (keys: readonly string[], name: string): RaggedFeature[] =>
    raggedFeatures(keys, attributes.dtypes(`${name}_value_types`), attributes.dtypes(`${name}_split_types`));
  const context = { ...columns.context, ragged: raggedOf(ragged, "context_ragged") };
  return parseOperands(
    op,
    { ...columns, context, ragged: raggedOf(listRagged, "feature_list_ragged") },
    op.inputs.slice(9),
  );
};

/** Operands: the example, which dense lists may be missing, keys (each a scalar) as above, dense defaults of the context, a name. */
const parseSingleSequenceExample: Lowering = (op) => {
  const missing = constantKeys(op.input(1));
  let next = 2;
  const keys = ["Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse", "Nfeature_list_dense"].map((name) => {
    const count = op.attributes.int(name, 0);
    next += count;
    return op.inputs.slice(next - count, next).flatMap(constantKeys);
  });
  const columns = columnsOf(op, keys, (key) => missing.includes(key));
  const results = parseOperands(op, columns, op.inputs.slice(next, -1));
  // The last are the lengths of dense lists, which this op does not give.
  return results.slice(0, results.length - columns.dense.length);
};

export const PARSE_SEQUENCE_EXAMPLE: LoweringTable = {
  ParseSequenceExample: parseSequenceExample,
  ParseSequenceExampleV2: parseSequenceExampleV2,
  ParseSingleSequenceExample: parseSingleSequenceExample,
};
