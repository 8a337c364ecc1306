"""Tensors inside of strings."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

FLOATS = numbers("messages/floats", [2, 3])


def words(*items: str) -> np.ndarray:
    return np.array([item.encode() for item in items], object)


def tensors() -> list[OpCase]:
    def both(name, value):
        dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)

        def build(x):
            text = tf.io.serialize_tensor(x)
            return [text, tf.io.parse_tensor(text, dtype)]

        return case(f"serialize_{name}", build, value)

    values = {"float": FLOATS, "int64": np.array([[1, -(2**62)]], np.int64), "bool": np.array([True, False]), "uint8": np.arange(4, dtype=np.uint8), "string": words("", "ä", "long text"), "half": FLOATS.astype(np.float16), "scalar": np.array(7, np.int32)}
    scalars = tf.io.serialize_tensor(tf.constant([[1.5, 2.5], [3.5, -1]])).numpy()
    sparse = tf.make_tensor_proto(0.25, shape=[2, 2]).SerializeToString()
    return [both(name, value) for name, value in values.items()] + [
        case("parse_tensor", lambda s: tf.io.parse_tensor(s, tf.float32) * 2, [np.array(scalars, object), np.array(sparse, object)], shapes=[[]]),
    ]


def texts() -> list[OpCase]:
    deep = np.arange(16, dtype=np.int32).reshape(2, 2, 2, 2)
    special = np.array([0.1, 1e-7, 1e10, 123456.789, 1 / 3, np.nan, np.inf, -np.inf, -0.0, 100, 1e6, 16777216, 1e21], np.float32)
    form = tf.strings.format
    return [
        case("string_format_scalar", lambda a, b: form("x is {}, y is {} done", (a, b)), np.array(3, np.int64), np.array(0.5, np.float32)),
        case("string_format_vector", lambda a: form("{}", a), np.arange(9, dtype=np.int32)),
        case("string_format_all", lambda a: form("{}", a, summarize=-1), special),
        case("string_format_double", lambda a: form("{}", a, summarize=-1), special.astype(np.float64)),
        case("string_format_matrix", lambda a: form("M {} ä", a), FLOATS),
        case("string_format_tall", lambda a: form("{}", a, summarize=1), np.arange(12, dtype=np.int64).reshape(4, 3)),
        case("string_format_deep", lambda a: form("{}", a), deep),
        case("string_format_deep_cut", lambda a: form("{}", a, summarize=1), np.arange(27, dtype=np.int32).reshape(3, 3, 3)),
        case("string_format_strings", lambda a: form("<{}>", a), words("a", "b c", "ä")),
        case("string_format_bool", lambda a: form("%", a, placeholder="%"), np.array([True, False])),
        case("string_format_empty", lambda a: form("{}", a), np.zeros([0, 2], np.int32)),
        case("string_format_placeholder", lambda a: form("$ and $", (a, a), placeholder="$"), np.array(1, np.uint8)),
    ]


def cases() -> list[OpCase]:
    return tensors() + texts()
