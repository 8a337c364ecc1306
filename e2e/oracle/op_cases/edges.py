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


def short_floats() -> list[OpCase]:
    """What the host computes, on floats of 16 bits: their values count, not their bits."""
    values = np.array([[1.0, 7.0, 3.0], [9.0, -0.5, 5.0]])
    return [
        case(
            f"{name}_on_the_host",
            lambda a: [
                op("AsString", a),
                tf.math.unsorted_segment_sum(a, tf.constant([1, 1]), 2),
                tf.dynamic_partition(a, [0, 1], 2)[1],
                tf.ones_like(a),
                tf.cast(tf.math.cumprod(a, 1), tf.float32),
                tf.tensor_scatter_nd_add(a, [[1]], a[:1]),
            ],
            np.array(values, tf.as_dtype(name).as_numpy_dtype),
        )
        for name in ("float16", "bfloat16")
    ]


def carried() -> list[OpCase]:
    """Moves of dtypes that ONNX Runtime's kernels do not take."""
    return [
        case(
            f"carried_{dtype}",
            lambda a: [
                tf.where(a > a[:1], a, a[:, ::-1]),
                tf.pad(a, [[0, 1], [1, 0]]),
                tf.image.resize(tf.reshape(a, [1, 2, 2, 2]), [3, 4], "nearest"),
                tf.nn.relu(a),
            ],
            np.array([[1, 100, 3, 7], [99, 5, 0, 2]], dtype),
        )
        for dtype in ("int8", "uint8", "int16", "uint16", "int32")
    ] + [
        case(
            "carried_bool",
            lambda a, b: [tf.where(a, b, a), op("DepthToSpace", tf.reshape(a, [1, 1, 1, 4]), block_size=2)],
            np.array([[True, False], [False, True]]),
            np.array([[False, False], [True, True]]),
        ),
        case("carried_uint32", lambda a: tf.where(a > a[::-1], a, a[::-1]), np.array([2**32 - 1, 7, 5], np.uint32)),
        case("max_pool_int32", lambda a: tf.nn.max_pool2d(a, 2, 1, "VALID"), np.arange(18).astype(np.int32).reshape(1, 3, 3, 2)),
    ]


def computed_sizes() -> list[OpCase]:
    image = numbers("ct", [2, 5, 4, 2])
    kernel = numbers("ctk", [4, 4, 3, 2])

    def transposed(padding: str, more: int):
        def build(a):
            size = tf.shape(a)
            full = (lambda n: (n - 1) * 3 + 4 + more) if padding == "VALID" else (lambda n: n * 3 + more)
            return tf.nn.conv2d_transpose(a, kernel, [size[0], full(size[1]), full(size[2]), 3], 3, padding)

        return build

    return [
        case(
            f"transposed_to_computed_size_{padding.lower()}{suffix}",
            transposed(padding, more),
            [image, image[:1, :3]],
            shapes=[[None, None, None, 2]],
        )
        for padding, suffix, more in (("VALID", "", 0), ("VALID", "_more", 1), ("SAME", "", 0), ("SAME", "_less", -1))
    ] + [
        case(
            "reductions_after_an_image",
            lambda a: [
                tf.reduce_sum(tf.nn.relu(tf.nn.conv2d(a, tf.ones([1, 1, 2, 3]), 1, "SAME")), -1, keepdims=True),
                tf.reduce_mean(tf.nn.conv2d(a, tf.ones([2, 2, 2, 3]), 1, "SAME"), [-1], keepdims=True),
            ],
            image,
            shapes=[None],
        ),
        case(
            "select_rows_of_unknown_rank",
            lambda c, a, b: op("Select", c, a, b),
            [np.array([True, False]), np.array([[True, False], [False, True]]), np.array(True)],
            [numbers("sel", [2, 2])] * 3,
            [numbers("other", [2, 2])] * 3,
            shapes=[None, None, None],
        ),
        case(
            "reduction_over_folded_axes",
            lambda a: tf.reduce_mean(a, tf.constant([0, 1]) + tf.cast(tf.constant([0, 1]) >= 0, tf.int32)),
            image,
        ),
    ]


def cases() -> list[OpCase]:
    heads = np.zeros([0, 3, 2, 4], np.float32)
    return short_floats() + carried() + computed_sizes() + [
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
