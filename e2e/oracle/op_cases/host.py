"""Operations on strings, examples and sparse tensors, which the engine computes itself."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

const = tf.constant


def texts(*items: str, shape: list[int] | None = None) -> np.ndarray:
    return np.array([item.encode() for item in items], object).reshape(shape or [len(items)])


WORDS = texts("Alpha", "beta", "", "ümlaut", " x y ", "42")
GRID = texts("a", "bb", "ccc", "d", "ee", "fff", shape=[2, 3])
LONG = texts(*[("abcdefghijklmnopqrstuvwxyz" * 9)[:n] for n in (3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200)])


def example(**features: list) -> bytes:
    built = {}
    for name, values in features.items():
        if all(isinstance(value, bytes) for value in values):
            built[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif all(isinstance(value, int) for value in values):
            built[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            built[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    message = tf.train.Example(features=tf.train.Features(feature=built))
    return message.SerializeToString(deterministic=True)


EXAMPLES = np.array(
    [
        example(f=[1.5, 2.5], i=[7], s=[b"red", b"green"], v=[1.0, 2.0, 3.0], q=[0.5, 1.5, 8.0]),
        example(f=[-1.0, 0.25], s=[], v=[4.0], q=[3.0]),
        example(f=[0.0, 9.0], i=[-3], s=[b"\xff\x00"]),
    ],
    object,
)


def parsed(serialized):
    spec = {
        "f": tf.io.FixedLenFeature([2], tf.float32),
        "i": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
        "s": tf.io.VarLenFeature(tf.string),
        "v": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True, default_value=-9.0),
        "r": tf.io.RaggedFeature(tf.float32, value_key="q", row_splits_dtype=tf.int64),
    }
    out = tf.io.parse_example(serialized, spec)
    s, r = out["s"], out["r"]
    return [out["f"], out["i"], s.indices, s.values, s.dense_shape, out["v"], r.values, r.row_splits]


def parsed_single(serialized):
    spec = {
        "f": tf.io.FixedLenFeature([2], tf.float32),
        "s": tf.io.VarLenFeature(tf.string),
    }
    out = tf.io.parse_single_example(serialized, spec)
    return [out["f"], out["s"].indices, out["s"].values, out["s"].dense_shape]


def feature(values: list) -> tf.train.Feature:
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def sequence(context: dict, lists: dict) -> bytes:
    feature_list = {key: tf.train.FeatureList(feature=map(feature, steps)) for key, steps in lists.items()}
    message = tf.train.SequenceExample(
        context=tf.train.Features(feature={key: feature(values) for key, values in context.items()}),
        feature_lists=tf.train.FeatureLists(feature_list=feature_list),
    )
    return message.SerializeToString(deterministic=True)


SEQUENCES = np.array(
    [
        sequence(
            {"a": [7], "b": [b"x", b"y"], "p": [1.0, 2.0], "r": [3.0, 4.0]},
            {"f": [[1.0, 2.0], [3.0, 4.0]], "w": [[b"s"]], "g": [[1, 2], [], [3]], "h": [[5], [6, 7]]},
        ),
        sequence({"b": [b"z"]}, {"f": [[5.0, 6.0]], "w": [], "g": [[9]]}),
        sequence({}, {"w": [[b""], [b"t"], [b"u"]]}),
    ],
    object,
)
CONTEXT = {
    "a": tf.io.FixedLenFeature([], tf.int64, -1),
    "p": tf.io.FixedLenFeature([2], tf.float32, [0.5, 0.25]),
    "b": tf.io.VarLenFeature(tf.string),
    "r": tf.io.RaggedFeature(tf.float32),
}
STEPS = {
    "f": tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True),
    "w": tf.io.FixedLenSequenceFeature([], tf.string),
    "g": tf.io.VarLenFeature(tf.int64),
    "h": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
}


def flat(features: dict) -> list[tf.Tensor]:
    """The tensors of dense, sparse and ragged features, by key."""
    return [part for key in sorted(features) for part in tf.nest.flatten(features[key], expand_composites=True)]


def sequences(serialized):
    context, steps, lengths = tf.io.parse_sequence_example(serialized, CONTEXT, STEPS)
    return [*flat(context), *flat(steps), *flat(lengths)]


def sequences_single(serialized):
    context, steps = tf.io.parse_single_sequence_example(serialized, CONTEXT, STEPS)
    return [*flat(context), *flat(steps)]


PLAIN = {
    "context_sparse_types": [tf.string],
    "context_dense_shapes": [[], [2]],
    "feature_list_sparse_types": [tf.int64],
    "feature_list_dense_types": [tf.float32, tf.string],
    "feature_list_dense_shapes": [[2], []],
}


def sequences_first(serialized):
    defaults = [tf.constant(-1, tf.int64), tf.constant([0.5, 0.25])]
    found = tf.raw_ops.ParseSequenceExample(
        serialized=serialized,
        debug_name=tf.constant([], tf.string),
        context_dense_defaults=defaults,
        feature_list_dense_missing_assumed_empty=["f"],
        context_sparse_keys=["b"],
        context_dense_keys=["a", "p"],
        feature_list_sparse_keys=["g"],
        feature_list_dense_keys=["f", "w"],
        Ncontext_sparse=1,
        Ncontext_dense=2,
        Nfeature_list_sparse=1,
        Nfeature_list_dense=2,
        **PLAIN,
    )
    return tf.nest.flatten(found)


def sequences_single_first(serialized):
    found = tf.raw_ops.ParseSingleSequenceExample(
        serialized=serialized,
        feature_list_dense_missing_assumed_empty=["f"],
        context_sparse_keys=["b"],
        context_dense_keys=["a", "p"],
        feature_list_sparse_keys=["g"],
        feature_list_dense_keys=["f", "w"],
        context_dense_defaults=[tf.constant(-1, tf.int64), tf.constant([0.5, 0.25])],
        debug_name="",
        **PLAIN,
    )
    return tf.nest.flatten(found)


def sequences_mapped(serialized):
    """The op in a function body, whose results are named by their arguments."""
    one = lambda each: tf.reduce_sum(tf.io.parse_single_sequence_example(each, CONTEXT, STEPS)[1]["f"])
    return tf.map_fn(one, serialized, fn_output_signature=tf.float32)


def strings() -> list[OpCase]:
    return [
        case("string_lower", lambda a: op("StringLower", a), WORDS),
        case("string_upper_utf8", lambda a: op("StringUpper", a, encoding="utf-8"), WORDS),
        case("string_strip", lambda a: op("StringStrip", a), WORDS),
        case("string_length", lambda a: op("StringLength", a), WORDS),
        case("string_length_characters", lambda a: op("StringLength", a, unit="UTF8_CHAR"), WORDS),
        case("string_join", lambda a, b: tf.strings.join([a, const("x"), b], "-"), GRID, GRID[::-1]),
        case("string_hash_fast", lambda a: op("StringToHashBucketFast", a, num_buckets=1 << 40), LONG),
        case("string_hash_fast_small", lambda a: op("StringToHashBucketFast", a, num_buckets=10), WORDS),
        case("string_split", lambda a: op("StringSplitV2", a, const(" ")), texts("a b", "", " c  d ", "e")),
        case("string_split_spaces", lambda a: op("StringSplitV2", a, const("")), texts("a b", "", " c  d ", "e")),
        case("string_split_limit", lambda a: op("StringSplitV2", a, const(","), maxsplit=1), texts("a,b,c", ",")),
        case("string_split_v1", lambda a: op("StringSplit", a, const(" ,"), skip_empty=False), texts("a, b", "c")),
        case("string_substr", lambda a: op("Substr", a, const(1), const(3)), texts("abcdef", "xyz", "q")),
        case("string_regex_replace", lambda a: tf.strings.regex_replace(a, r"[!\"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']", ""), texts("Hi, you!", "a-b_c")),
        case("string_regex_group", lambda a: tf.strings.regex_replace(a, r"(\w+)=(\w+)", r"\2:\1 $"), texts("k=v x=y", "none")),
        case("string_full_match", lambda a: tf.strings.regex_full_match(a, "[a-z]+"), WORDS),
        case("string_equal", lambda a: op("Equal", a, const("beta")), WORDS),
        case("string_not_equal", lambda a, b: op("NotEqual", a, b), GRID, GRID[:, ::-1].copy()),
        case("string_reduce_join", lambda a: op("ReduceJoin", a, const([0]), separator="+"), GRID),
        case("string_reduce_join_keep", lambda a: op("ReduceJoin", a, const([-1]), keep_dims=True), GRID),
        case("string_to_number", lambda a: op("StringToNumber", a), texts("1.5", "-2e3", "7", "inf")),
        case("string_to_number_int64", lambda a: op("StringToNumber", a, out_type=tf.int64), texts("15", "-7")),
        case("as_string_int", lambda a: op("AsString", a), np.array([1, -5, 0], np.int32)),
        case("as_string_float", lambda a: op("AsString", a), np.array([1, -5.25, 1e-7, 1e10, np.inf], np.float32)),
        case("as_string_shortest", lambda a: op("AsString", a, shortest=True), np.array([1, -5.25, 1e-7, 1e10], np.float32)),
        case("as_string_fill", lambda a: op("AsString", a, precision=2, width=8, fill="0"), np.array([1, -5.25], np.float32)),
        case("as_string_bool", lambda a: op("AsString", a), np.array([True, False])),
        case("decode_raw", lambda a: op("DecodeRaw", a, out_type=tf.int16), np.array([b"\x01\x00\xff\xff", b"\x02\x01\x00\x80"], object)),
        case("encode_base64", lambda a: op("EncodeBase64", a, pad=True), WORDS),
        case("decode_base64", lambda a: op("DecodeBase64", a), texts("YWI", "_-8")),
    ]


def moves() -> list[OpCase]:
    table = texts("zero", "one", "two", "three")
    return [
        case("string_gather", lambda a, i: op("GatherV2", a, i, const(0)), table, np.array([[3, 0]], np.int64)),
        case("string_gather_constant", lambda i: op("GatherV2", const(table.tolist()), i, const(0)), np.array([2, 1], np.int32)),
        case("string_reshape_concat", lambda a: op("ConcatV2", [op("Reshape", a, const([3, 2])), const([["p", "q"]])], const(0)), GRID),
        case("string_transpose", lambda a: op("Transpose", a, const([1, 0])), GRID),
        case("string_strided_slice", lambda a: a[:, ::-1], GRID),
        case("string_expand_tile", lambda a: op("Tile", op("ExpandDims", a, const(0)), const([2, 1])), table),
        case("string_pack_unpack", lambda a: op("Pack", op("Unpack", a, num=3, axis=1)), GRID),
        case("string_shape", lambda a: [op("Shape", a), op("Size", a)], GRID),
        case("string_select", lambda c, a: op("SelectV2", c, a, const("none")), np.array([True, False, True, False]), table),
        case("string_fill", lambda n: op("Fill", n, const("y")), np.array([2, 2], np.int32), shapes=[[2]]),
        case("string_of_argmax", lambda x: op("GatherV2", const(["a", "b", "c"]), op("ArgMax", x * 2.0, const(1)), const(0)), numbers("soa", [4, 3])),
        case("string_both_ways", lambda a, x: [op("AsString", x * 2.0), op("Cast", op("StringLength", a), DstT=tf.float32) + x], table, np.ones([4], np.float32)),
    ]


def examples() -> list[OpCase]:
    return [
        case("parse_example", parsed, EXAMPLES),
        case("parse_sequence_example", sequences, [SEQUENCES, SEQUENCES[1:2], SEQUENCES[:0]]),
        case("parse_sequence_example_first", sequences_first, [SEQUENCES, SEQUENCES[1:2], SEQUENCES[:0]]),
        case("parse_single_sequence_example", sequences_single, [np.array(each, object) for each in SEQUENCES]),
        case("parse_single_sequence_example_first", sequences_single_first, [np.array(each, object) for each in SEQUENCES]),
        case("parse_sequence_example_mapped", sequences_mapped, SEQUENCES),
        case("parse_single_example", parsed_single, np.array(EXAMPLES[0], object)),
    ]


def sparse() -> list[OpCase]:
    indices = np.array([[0, 1], [2, 0], [2, 3]], np.int64)
    values = np.array([1.5, 2.5, -3.0], np.float32)
    shape = [4, 4]
    data = numbers("segment", [5, 3])
    rows, segments = np.array([0, 4, 2, 2], np.int32), np.array([0, 0, 2, 3], np.int32)
    return [
        case("sparse_to_dense", lambda i, v: op("SparseToDense", i, const(shape, tf.int64), v, const(0.5)), indices, values),
        case("sparse_fill_empty_rows", lambda i, v: list(op("SparseFillEmptyRows", i, v, const(shape, tf.int64), const(-1.0))), indices, values),
        case("sparse_reshape", lambda i: list(op("SparseReshape", i, const(shape, tf.int64), const([2, -1], tf.int64))), indices),
        case("sparse_segment_sum", lambda x, r, s: op("SparseSegmentSum", x, r, s), data, rows, segments),
        case("sparse_segment_mean", lambda x, r, s: op("SparseSegmentMean", x, r, s), data, rows, segments),
        case("sparse_segment_sqrt_n", lambda x, r, s: op("SparseSegmentSqrtN", x, r, s), data, rows, segments),
        case("unique", lambda x: list(op("Unique", x)), np.array([5, 3, 5, 1, 3], np.int64)),
        case("unique_strings", lambda x: list(op("Unique", x, out_idx=tf.int64)), texts("b", "a", "b")),
        case("bucketize", lambda x: op("Bucketize", x, boundaries=[-1.0, 0.0, 1.5]), numbers("bucketize", [6])),
        case("unsorted_segment_sum", lambda x, s: op("UnsortedSegmentSum", x, s, const(4)), data, np.array([2, 0, -1, 2, 3], np.int32)),
    ]


def records() -> list[OpCase]:
    rows = texts("1,2.5,abc", "-4,,x y", '7,1e3,"q,""r"""', ",3,")
    return [
        case(
            "decode_csv",
            lambda a: list(tf.io.decode_csv(a, [[9], [1.5], ["d"]])),
            rows,
        ),
        case(
            "decode_csv_selected",
            lambda a: list(tf.io.decode_csv(a, [tf.constant([], tf.int64), ["none"]], field_delim=";", use_quote_delim=False, na_value="-", select_cols=[1, 3])),
            texts('a;1;"b;c', "a;-2;b;-"),
        ),
    ]


def uniques() -> list[OpCase]:
    values = np.array([5, 3, 5, 9, 3, 5], np.int64)
    rows = np.array([[1, 2], [3, 4], [1, 2], [1, 3]], np.int32)
    empty = np.zeros([0], np.int64)
    return [
        case("unique_with_counts", lambda a: list(tf.unique_with_counts(a, tf.int64)), [values, empty]),
        case("unique_rows", lambda a: list(op("UniqueV2", a, const([0]))), rows),
        case("unique_rows_with_counts", lambda a: list(op("UniqueWithCountsV2", a, const([0]))), rows),
        case("unique_strings_with_counts", lambda a: list(tf.unique_with_counts(a)), texts("b", "a", "b", "")),
        case("unique_v2", lambda a: list(op("UniqueV2", a, const([], tf.int64))), values.astype(np.float32)),
    ]


def cases() -> list[OpCase]:
    return [*strings(), *moves(), *examples(), *sparse(), *records(), *uniques()]
