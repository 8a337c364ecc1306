import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";

/**
 * Output arguments of ops that have several, from TensorFlow's op definitions: in function bodies edges name them. "name:attr"
 * is a list; the attribute holds its length or its dtypes. A single output or list needs no entry.
 */
const OUTPUT_ARGS: Readonly<Record<string, readonly string[]>> = {
  BlockLSTM: ["i", "cs", "f", "o", "ci", "co", "h"],
  BlockLSTMV2: ["i", "cs", "f", "o", "ci", "co", "h"],
  CTCBeamSearchDecoder: [
    "decoded_indices:top_paths",
    "decoded_values:top_paths",
    "decoded_shape:top_paths",
    "log_probability",
  ],
  CTCGreedyDecoder: ["decoded_indices", "decoded_values", "decoded_shape", "log_probability"],
  CombinedNonMaxSuppression: ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "valid_detections"],
  DecodeWav: ["audio", "sample_rate"],
  DenseCountSparseOutput: ["output_indices", "output_values", "output_dense_shape"],
  DenseToDenseSetOperation: ["result_indices", "result_values", "result_shape"],
  DenseToSparseSetOperation: ["result_indices", "result_values", "result_shape"],
  DeserializeManySparse: ["sparse_indices", "sparse_values", "sparse_shape"],
  DeserializeSparse: ["sparse_indices", "sparse_values", "sparse_shape"],
  Eig: ["e", "v"],
  FractionalAvgPool: ["output", "row_pooling_sequence", "col_pooling_sequence"],
  FractionalMaxPool: ["output", "row_pooling_sequence", "col_pooling_sequence"],
  FusedBatchNorm: ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"],
  FusedBatchNormV2: ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"],
  FusedBatchNormV3: ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"],
  GRUBlockCell: ["r", "u", "c", "h"],
  LSTMBlockCell: ["i", "cs", "f", "o", "ci", "co", "h"],
  ListDiff: ["out", "idx"],
  LogMatrixDeterminant: ["sign", "log_abs_determinant"],
  LookupTableExport: ["keys", "values"],
  LookupTableExportV2: ["keys", "values"],
  Lu: ["lu", "p"],
  MaxPoolWithArgmax: ["output", "argmax"],
  Merge: ["output", "value_index"],
  NonMaxSuppressionV4: ["selected_indices", "valid_outputs"],
  NonMaxSuppressionV5: ["selected_indices", "selected_scores", "valid_outputs"],
  ParseExample: [
    "sparse_indices:Nsparse",
    "sparse_values:sparse_types",
    "sparse_shapes:Nsparse",
    "dense_values:Tdense",
  ],
  ParseExampleV2: [
    "sparse_indices:num_sparse",
    "sparse_values:sparse_types",
    "sparse_shapes:num_sparse",
    "dense_values:Tdense",
    "ragged_values:ragged_value_types",
    "ragged_row_splits:ragged_split_types",
  ],
  ParseSingleExample: [
    "sparse_indices:num_sparse",
    "sparse_values:sparse_types",
    "sparse_shapes:num_sparse",
    "dense_values:Tdense",
  ],
  Qr: ["q", "r"],
  RaggedCountSparseOutput: ["output_indices", "output_values", "output_dense_shape"],
  RaggedCross: ["output_values", "output_row_splits"],
  RaggedFillEmptyRows: ["output_value_rowids", "output_values", "empty_row_indicator", "reverse_index_map"],
  RaggedGather: ["output_nested_splits:OUTPUT_RAGGED_RANK", "output_dense_values"],
  RaggedRange: ["rt_nested_splits", "rt_dense_values"],
  RaggedTensorFromVariant: ["output_nested_splits:output_ragged_rank", "output_dense_values"],
  RaggedTensorToSparse: ["sparse_indices", "sparse_values", "sparse_dense_shape"],
  RefMerge: ["output", "value_index"],
  RefSwitch: ["output_false", "output_true"],
  SelfAdjointEigV2: ["e", "v"],
  SoftmaxCrossEntropyWithLogits: ["loss", "backprop"],
  SparseAdd: ["sum_indices", "sum_values", "sum_shape"],
  SparseConcat: ["output_indices", "output_values", "output_shape"],
  SparseCountSparseOutput: ["output_indices", "output_values", "output_dense_shape"],
  SparseCross: ["output_indices", "output_values", "output_shape"],
  SparseCrossHashed: ["output_indices", "output_values", "output_shape"],
  SparseCrossV2: ["output_indices", "output_values", "output_shape"],
  SparseFillEmptyRows: ["output_indices", "output_values", "empty_row_indicator", "reverse_index_map"],
  SparseReduceMaxSparse: ["output_indices", "output_values", "output_shape"],
  SparseReduceSumSparse: ["output_indices", "output_values", "output_shape"],
  SparseReorder: ["output_indices", "output_values"],
  SparseReshape: ["output_indices", "output_shape"],
  SparseSlice: ["output_indices", "output_values", "output_shape"],
  SparseSoftmaxCrossEntropyWithLogits: ["loss", "backprop"],
  SparseSparseMaximum: ["output_indices", "output_values"],
  SparseSparseMinimum: ["output_indices", "output_values"],
  SparseSplit: ["output_indices:num_split", "output_values:num_split", "output_shape:num_split"],
  SparseToSparseSetOperation: ["result_indices", "result_values", "result_shape"],
  StatelessRandomGetKeyCounter: ["key", "counter"],
  StatelessRandomGetKeyCounterAlg: ["key", "counter", "alg"],
  StringNGrams: ["ngrams", "ngrams_splits"],
  StringSplit: ["indices", "values", "shape"],
  StringSplitV2: ["indices", "values", "shape"],
  Svd: ["s", "u", "v"],
  Switch: ["output_false", "output_true"],
  TensorArrayConcat: ["value", "lengths"],
  TensorArrayConcatV2: ["value", "lengths"],
  TensorArrayConcatV3: ["value", "lengths"],
  TensorArrayV3: ["handle", "flow"],
  TensorListConcat: ["tensor", "lengths"],
  TensorListConcatV2: ["tensor", "lengths"],
  TensorListPopBack: ["output_handle", "tensor"],
  TopK: ["values", "indices"],
  TopKV2: ["values", "indices"],
  UnicodeDecode: ["row_splits", "char_values"],
  UnicodeDecodeWithOffsets: ["row_splits", "char_values", "char_to_byte_starts"],
  Unique: ["y", "idx"],
  UniqueV2: ["y", "idx"],
  UniqueWithCounts: ["y", "idx", "count"],
  UniqueWithCountsV2: ["y", "idx", "count"],
};

/** Index of the first output that belongs to an output argument of a node. */
export function outputBase({ op, attr }: NodeDef, argument: string): number {
  let base = 0;
  for (const each of (Object.hasOwn(OUTPUT_ARGS, op) && OUTPUT_ARGS[op]) || []) {
    const [name, list] = each.split(":");
    if (name === argument) return base;
    base += list === undefined ? 1 : lengthOf(Object.hasOwn(attr, list) ? attr[list]?.value : undefined);
  }
  return 0;
}

function lengthOf(value: NodeDef["attr"][string]["value"] | undefined): number {
  if (value?.case === "i") return Number(value.value);
  return value?.case === "list" ? value.value.type.length : 0;
}
