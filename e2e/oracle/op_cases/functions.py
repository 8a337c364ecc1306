"""Graphs whose work happens in the function library: calls, branches and loops."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op


@tf.function
def _scaled(a, factor):
    return a * factor + 1.0


@tf.function
def _twice(a):
    return _scaled(_scaled(a, 2.0), 0.5)


def _branch(a):
    return tf.cond(tf.reduce_sum(a) > 0.0, lambda: a * 2.0, lambda: -a)


def _loop(a, count):
    """a * 2 + 1, `count` times."""
    _, result = tf.while_loop(
        lambda i, _: i < count, lambda i, value: (i + 1, value * 2.0 + 1.0), (tf.constant(0), a)
    )
    return result


def _split(a, lengths):
    """Items of different lengths, one changed, then all of them again."""
    array = tf.TensorArray(a.dtype, size=0, dynamic_size=True, infer_shape=False).split(a, lengths)
    first = array.read(0)
    array = array.write(1, first)
    return [first, array.concat(), array.size()]


def _split_in_loop(a, lengths):
    """The maximum of each item."""
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True, infer_shape=False).split(a, lengths)
    _, result = tf.while_loop(
        lambda i, _: i < tf.size(lengths),
        lambda i, value: (i + 1, tf.concat([value, tf.reduce_max(array.read(i), 0, keepdims=True)], 0)),
        (tf.constant(0), a[:0]),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 3])),
    )
    return result


def _element_shapes(a):
    whole = op("TensorListFromTensor", a, element_shape=[3])
    some = op("TensorListReserve", [-1, 3], 2, element_dtype=tf.float32)
    none = op("TensorListReserve", -1, 2, element_dtype=tf.float32)
    return [op("TensorListElementShape", each, shape_type=dtype) for each in (whole, some, none) for dtype in (tf.int32, tf.int64)]


def lists() -> list[OpCase]:
    x = numbers("lists", [6, 3])
    words = np.array([b"a", b"bc", b"", b"d", b"efg", b"h"], object)
    return [
        case("list_split", _split, [x, x[:5]], [np.array([1, 2, 3], np.int64), np.array([3, 0, 2], np.int64)]),
        case("list_split_strings", _split, words, np.array([2, 4], np.int64)),
        case("list_split_in_loop", _split_in_loop, [x, x[:5]], [np.array([1, 2, 3], np.int64), np.array([4, 1], np.int64)]),
        case("list_element_shapes", _element_shapes, x),
    ]


def _map_ragged(values, splits):
    """Rows of a ragged tensor one by one: to numbers, to rows of other lengths, and to rows of matrices."""
    rows = tf.RaggedTensor.from_row_splits(values, splits)
    doubled = tf.map_fn(lambda row: tf.concat([row, row[:1]], 0) * 2.0, rows)
    return [tf.map_fn(lambda row: tf.reduce_sum(row), rows, fn_output_signature=tf.float32), doubled.values, doubled.row_splits, doubled.to_tensor()]


def _map_to_ragged(counts):
    ranges = tf.map_fn(lambda n: tf.range(n), counts, fn_output_signature=tf.RaggedTensorSpec([None], tf.int32))
    return [ranges.values, ranges.row_splits]


def _map_words(texts):
    """The words of each text, marked by their place."""
    words = tf.strings.split(texts)
    marked = tf.map_fn(lambda row: tf.strings.join([row, tf.strings.as_string(tf.range(tf.size(row)))]), words)
    return [marked.values, marked.row_splits]


def _map_deep(values, inner, outer):
    rows = tf.RaggedTensor.from_nested_row_splits(values, [outer, inner])
    sums = tf.map_fn(lambda row: tf.reduce_sum(row, 1), rows, fn_output_signature=tf.RaggedTensorSpec([None], tf.float32))
    same = tf.map_fn(lambda row: row + 1.0, rows)
    return [sums.values, sums.row_splits, same.flat_values, *same.nested_row_splits]


def _ragged_grid(values, splits):
    variants = tf.raw_ops.RaggedTensorToVariant(rt_nested_splits=[splits], rt_dense_values=values, batched_input=True)
    found = tf.raw_ops.RaggedTensorFromVariant(encoded_ragged=tf.reshape(variants, [2, -1]), input_ragged_rank=0, output_ragged_rank=2, Tvalues=values.dtype)
    return [*found.output_nested_splits, found.output_dense_values]


def ragged() -> list[OpCase]:
    x = numbers("ragged", [6])
    splits = np.array([0, 2, 2, 5, 6], np.int64)
    return [
        case("ragged_map", _map_ragged, [x, x[:2], x[:0]], [splits, np.array([0, 1, 2], np.int64), np.array([0], np.int64)]),
        case("ragged_map_to", _map_to_ragged, [np.array([3, 0, 2], np.int32), np.array([1], np.int32)]),
        case("ragged_map_words", _map_words, [np.array([b"a bc", b"", b"d e f"], object), np.array([b"g"], object)]),
        case("ragged_map_deep", _map_deep, x, splits, np.array([0, 1, 4], np.int64)),
        case("ragged_variant_grid", _ragged_grid, [numbers("grid", [6, 2]), numbers("grid", [0, 2])], [splits, np.array([0], np.int64)]),
    ]


def cases() -> list[OpCase]:
    x = numbers("functions", [2, 3])
    return lists() + ragged() + [
        case("function_call", lambda a: _scaled(a, tf.constant(3.0)), x),
        case("function_call_nested", _twice, x),
        case("if_branch", _branch, [np.abs(x), -np.abs(x)]),
        case("while_loop", _loop, [x, x], [np.int32(0), np.int32(5)]),
    ]
