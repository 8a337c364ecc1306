"""Matrix products and reductions."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op


def matmul(transpose_a: bool, transpose_b: bool) -> OpCase:
    label = f"matmul_{'t' if transpose_a else 'n'}{'t' if transpose_b else 'n'}"
    x = numbers(label, [3, 2] if transpose_a else [2, 3])
    y = numbers(label + "/2", [4, 3] if transpose_b else [3, 4])
    return case(
        label,
        lambda a, b: op("MatMul", a, b, transpose_a=transpose_a, transpose_b=transpose_b),
        x,
        y,
    )


def batch_matmul(label, x_shape, y_shape, **attributes) -> OpCase:
    return case(
        label,
        lambda a, b: op("BatchMatMulV2", a, b, **attributes),
        numbers(label, x_shape),
        numbers(label + "/2", y_shape),
    )


def einsum(label, equation, *shapes) -> OpCase:
    values = [numbers(f"{label}/{index}", shape) for index, shape in enumerate(shapes)]
    return case(label, lambda *tensors: tf.raw_ops.Einsum(inputs=list(tensors), equation=equation), *values)


def products() -> list[OpCase]:
    weights, bias = numbers("dense/weights", [3, 2]), numbers("dense/bias", [2])
    return [
        *(matmul(a, b) for a in (False, True) for b in (False, True)),
        case(
            "dense",
            lambda x: op("Relu", op("BiasAdd", op("MatMul", x, tf.constant(weights)), tf.constant(bias))),
            [numbers("dense", [1, 3]), numbers("dense/2", [4, 3])],
        ),
        batch_matmul("batch_matmul", [2, 2, 3], [2, 3, 2]),
        batch_matmul("batch_matmul_adj_y", [2, 1, 2, 3], [2, 1, 4, 3], adj_y=True),
        batch_matmul("batch_matmul_adj_x", [2, 3, 2], [2, 3, 2], adj_x=True),
        batch_matmul("batch_matmul_broadcast", [2, 1, 2, 3], [3, 3, 2]),
        einsum("einsum_matmul", "ij,jk->ik", [2, 3], [3, 2]),
        einsum("einsum_attention", "aecd,abcd->acbe", [1, 2, 2, 3], [1, 3, 2, 3]),
        einsum("einsum_project", "abc,cde->abde", [1, 2, 3], [3, 2, 2]),
        einsum("einsum_ellipsis", "...ij,jk->...ik", [2, 2, 3], [3, 2]),
        einsum("einsum_diagonal_sum", "ii->", [3, 3]),
        case("l2_loss", lambda x: op("L2Loss", x), numbers("l2", [2, 3])),
    ]


def reduce(name: str, label: str, axes: list[int] | int, keep_dims: bool) -> OpCase:
    x = numbers(f"reduce/{label}", [2, 3, 2])
    return case(
        f"{name.lower()}_{label}",
        lambda a: op(name, a, tf.constant(axes, tf.int32), keep_dims=keep_dims),
        x,
    )


def reductions() -> list[OpCase]:
    whole = np.array([[3, -7, 2], [1, 1, -9]], np.int32)
    truth = np.array([[True, False, True], [True, True, True]])
    ties = np.array([[1, 3, 3, 0], [2, 2, 1, 2], [-1, -1, -1, -1]], np.float32)
    column = tf.constant
    return [
        *(reduce(name, "axis1_keep", [1], True) for name in ("Sum", "Mean", "Max", "Min", "Prod")),
        *(reduce(name, "axes_0_2", [0, 2], False) for name in ("Sum", "Mean", "Max")),
        *(reduce(name, "last", -1, False) for name in ("Sum", "Mean", "Min", "Prod")),
        *(reduce(name, "all", [0, 1, 2], False) for name in ("Sum", "Mean", "Max")),
        reduce("Sum", "no_axes", np.zeros([0], np.int32), False),
        reduce("Mean", "spatial_negative", [-2, -1], True),
        case("int32_sum", lambda x: op("Sum", x, column([0])), whole),
        case("int32_mean_rounds", lambda x: op("Mean", x, column([1])), whole),
        case("int32_max", lambda x: op("Max", x, column([1]), keep_dims=True), whole),
        case("max_nan", lambda x: op("Max", x, column([0])), np.array([1, np.nan, 2], np.float32)),
        case("sum_empty", lambda x: op("Sum", x, column([0])), np.zeros([0, 2], np.float32)),
        case("max_empty", lambda x: op("Max", x, column([0])), np.zeros([0, 2], np.float32)),
        case("all", lambda x: op("All", x, column([1])), truth),
        case("any", lambda x: op("Any", x, column([0]), keep_dims=True), ~truth),
        case("argmax_ties", lambda x: op("ArgMax", x, column(1)), ties),
        case("argmax_axis0_int32", lambda x: op("ArgMax", x, column(0), output_type=tf.int32), ties),
        case("argmax_negative_axis", lambda x: op("ArgMax", x, column(-1)), numbers("arg", [2, 2, 4])),
        case("argmin_ties", lambda x: op("ArgMin", x, column(1)), ties),
        case("cumsum", lambda x: op("Cumsum", x, column(1)), numbers("cumsum", [2, 4])),
        case(
            "cumsum_exclusive_reverse",
            lambda x: op("Cumsum", x, column(-1), exclusive=True, reverse=True),
            numbers("cumsum", [2, 4]),
        ),
        case(
            "top_k",
            lambda x: list(op("TopKV2", x, column(2))),
            np.array([[1, 5, 5, 2], [9, -1, 9, 9]], np.float32),
        ),
        case("log_sum_exp", lambda x: tf.reduce_logsumexp(x, axis=1), numbers("lse", [2, 4], -50, 50)),
        case(
            "layer_norm",
            lambda x: (x - tf.reduce_mean(x, -1, keepdims=True))
            * tf.math.rsqrt(tf.math.reduce_variance(x, -1, keepdims=True) + 1e-6),
            numbers("layer_norm", [2, 3, 4]),
        ),
        case("global_average_pool", lambda x: tf.reduce_mean(x, [1, 2]), numbers("gap", [2, 3, 3, 2])),
    ]


def cases() -> list[OpCase]:
    return [*products(), *reductions()]
