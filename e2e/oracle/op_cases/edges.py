"""Inputs at the edges: tensors without elements, and integers that have no quotient."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

NO_ROWS = np.zeros([0, 4], np.float32)
LOWEST = np.iinfo(np.int32).min
LOWEST_LONG = np.iinfo(np.int64).min


def quotients(a, b):
    return [op("FloorDiv", a, b), op("FloorMod", a, b), op("TruncateDiv", a, b), op("TruncateMod", a, b)]


def rows(name: str) -> list[np.ndarray]:
    return [NO_ROWS, numbers(name, [2, 4])]


def cases() -> list[OpCase]:
    heads = np.zeros([0, 3, 2, 4], np.float32)
    return [
        case("empty_top_k", lambda a: list(op("TopKV2", a, tf.constant(2))), rows("tk")),
        case("empty_argmax", lambda a: [tf.argmax(a, 1), tf.argmin(a, -1, tf.int32)], rows("am")),
        case(
            "empty_reductions",
            lambda a: [
                tf.reduce_any(a > 0, 0),
                tf.reduce_all(a > 0, 0),
                tf.reduce_mean(a, 0),
                tf.reduce_mean(a, [0], keepdims=True),
                tf.reduce_sum(a, 0),
                tf.reduce_max(a, 0),
            ],
            rows("red"),
        ),
        case("empty_mean_of_any_rank", lambda a: tf.reduce_mean(a), rows("any"), shapes=[None]),
        case(
            "empty_attention",
            lambda q, k: tf.einsum("BNTS,BSNH->BTNH", tf.nn.softmax(tf.einsum("BTNH,BSNH->BNTS", q, k)), k),
            [heads, numbers("q", [2, 3, 2, 4])],
            [heads, numbers("k", [2, 3, 2, 4])],
        ),
        case(
            "quotient_by_minus_one",
            quotients,
            np.array([LOWEST, 7, -7, 5], np.int32),
            np.array([-1, -1, 2, -3], np.int32),
        ),
        case(
            "quotient_by_minus_one_int64",
            quotients,
            np.array([LOWEST_LONG, 7, -7, 5], np.int64),
            np.array([-1, -1, 2, -3], np.int64),
        ),
        case(
            "string_equal_broadcast",
            lambda a, b: [op("Equal", a, b), op("NotEqual", a, tf.constant("b"))],
            [np.array([[b"a"], [b"b"]], object), np.zeros([0, 1], object)],
            [np.array([[b"a", b"b"]], object), np.array([[b"a", b"b"]], object)],
        ),
        case("cumsum_small", lambda a: tf.cumsum(a, 1), np.array([[100, 100, 100]], np.int8)),
    ]
