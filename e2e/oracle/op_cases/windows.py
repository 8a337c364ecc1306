"""Windows over images that give more than poolings, and sets."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

const = tf.constant
IMAGE = numbers("windows/image", [2, 5, 6, 2])
FILTER = numbers("windows/filter", [3, 2, 2])


def maxima() -> list[OpCase]:
    def pool(name, x=IMAGE, **attributes):
        settings = {"ksize": [1, 2, 3, 1], "strides": [1, 2, 2, 1], "padding": "SAME"} | attributes
        return case(f"max_pool_with_argmax_{name}", lambda a: op("MaxPoolWithArgmax", a, **settings), x)

    def dilation(name, **attributes):
        settings = {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"} | attributes
        return case(f"dilation2d_{name}", lambda a: op("Dilation2D", a, const(FILTER), **settings), IMAGE)

    return [
        pool("same"),
        pool("valid", padding="VALID", Targmax=tf.int32),
        pool("batch", include_batch_in_index=True),
        dilation("same"),
        dilation("valid", padding="VALID", strides=[1, 2, 1, 1]),
        dilation("rates", rates=[1, 2, 2, 1]),
        case("erosion2d", lambda a: tf.nn.erosion2d(a, const(FILTER), [1, 1, 1, 1], "VALID", "NHWC", [1, 1, 1, 1]), IMAGE),
    ]


def sets() -> list[OpCase]:
    a = np.array([[3, 1, 3], [5, 6, 7]], np.int64)
    b = np.array([[1, 2, 9], [7, 6, 5]], np.int64)
    names = np.array([[b"x", b"y"], [b"z", b"z"]], object)
    sparse = tf.sparse

    def lists(result):
        return [result.indices, result.values, result.dense_shape]

    plain = [case(f"set_{name}", lambda x, y, f=f: lists(f(x, y)), a, b) for name, f in (("difference", tf.sets.difference), ("intersection", tf.sets.intersection), ("union", tf.sets.union))]
    return plain + [
        case("set_difference_turned", lambda x, y: lists(tf.sets.difference(x, y, aminusb=False)), a, b),
        case("set_strings", lambda x: lists(tf.sets.union(x, tf.constant([["a", "x"], ["z", "b"]]))), names),
        case("set_size", lambda x: tf.sets.size(sparse.from_dense(x)), np.array([[3, 0, 3], [0, 0, 0], [1, 2, 3]], np.int32)),
        case("set_dense_sparse", lambda x, y: lists(tf.sets.intersection(x, sparse.from_dense(y))), a, b),
        case("set_sparse_sparse", lambda x, y: lists(tf.sets.union(sparse.from_dense(x), sparse.from_dense(y))), a, b),
    ]


def cases() -> list[OpCase]:
    return maxima() + sets()
