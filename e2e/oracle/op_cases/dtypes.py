"""Dtypes that ops take besides floats: strings that are moved, small integers, unsigned ones of 64 bits."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, op

const = tf.constant
WORDS = np.array([[b"a", b"bb", b""], [b"ccc", b"d", b"e"]], object)
BIG = np.array([0, 1, 2**63, 2**64 - 1, 7, 10**19], np.uint64)
OTHER = np.array([3, 2, 2**63 - 1, 2**64 - 2, 3, 2**33], np.uint64)


def moved() -> list[OpCase]:
    return [
        case("strings_pad", lambda a: op("Pad", a, const([[1, 0], [0, 2]])), WORDS),
        case("strings_pad_v2", lambda a: op("PadV2", a, const([[0, 1], [1, 0]]), const("-")), WORDS),
        case("strings_roll", lambda a: op("Roll", a, const([1]), const([1])), WORDS, shapes=[[2, 3]]),
        case("strings_roll_open", lambda a: op("Roll", a, const([1]), const([0])), WORDS),
        case("strings_one_hot", lambda a: tf.one_hot(a, 3, on_value=const("yes"), off_value=const("no")), np.array([0, 2, -1], np.int32)),
        case("strings_mirror_pad", lambda a: op("MirrorPad", a, const([[0, 0], [1, 1]]), mode="REFLECT"), WORDS, shapes=[[2, 3]]),
        case("strings_reverse_sequence", lambda a, n: op("ReverseSequence", a, n, seq_dim=1, batch_dim=0), WORDS, np.array([2, 3], np.int64)),
        case("strings_scatter_update", lambda a, i: op("TensorScatterUpdate", a, i, const([["x", "y", "z"]])), WORDS, np.array([[1]], np.int32)),
    ]


def small() -> list[OpCase]:
    found = []
    for dtype in ("int8", "uint8", "int16", "uint16", "int64", "uint64", "uint32"):
        data = np.array([[3, 5], [7, 2], [100, 90], [1, 4]], dtype)
        ids = np.array([2, 0, 2, -1], np.int32)
        found.append(case(f"cumprod_{dtype}", lambda a: op("Cumprod", a, const(0)), data))
        for kind in ("Max", "Min", "Sum", "Prod"):
            found.append(case(f"unsorted_segment_{kind.lower()}_{dtype}", lambda a, i, k=kind: op(f"UnsortedSegment{k}", a, i, const(4)), data, ids))
        found.append(case(f"roll_{dtype}", lambda a: op("Roll", a, const([1]), const([0])), data, shapes=[[4, 2]]))
        found.append(case(f"one_hot_{dtype}", lambda a, dtype=dtype: tf.one_hot(a, 3, on_value=tf.constant(5, dtype), off_value=tf.constant(1, dtype)), ids))
        found.append(case(f"pad_{dtype}", lambda a: op("Pad", a, const([[0, 1], [1, 0]])), data))
    return found


def unsigned() -> list[OpCase]:
    ops = "AddV2 Sub Mul FloorDiv FloorMod Maximum Minimum Equal NotEqual Less LessEqual Greater GreaterEqual".split()
    return [case(f"uint64_{name.lower()}", lambda a, b, n=name: op(n, a, b), BIG, OTHER) for name in ops] + [
        case("uint64_broadcast", lambda a, b: (a + b) * tf.constant(3, tf.uint64), BIG.reshape(3, 2), OTHER[:2]),
        case("uint64_add_n", lambda a, b: tf.add_n([a, b, a]), BIG, OTHER),
        case("int64_sum_exact", lambda a: [tf.reduce_sum(a), tf.reduce_sum(a, 0)], np.array([[2**53 + 1, 3, -5], [2**60 + 7, 1, 1], [2**62 + 5, -7, -(2**63)], [2**62, 0, 0]], np.int64)),
        case("int64_max_exact", lambda a: [tf.reduce_max(a), tf.reduce_min(a, 0), tf.argmax(a, 0)], np.array([[2**60 + 7, -(2**60) - 3], [2**60 + 9, -(2**60) - 1]], np.int64)),
        case("int32_sum_wraps", lambda a: [tf.reduce_sum(a), tf.reduce_sum(a, 0), tf.reduce_prod(a, 1)], np.array([[2**30 + 1, 3, -5], [2**30 + 7, 2**15 + 1, 1]], np.int32)),
        case("uint64_sum", lambda a: tf.reduce_sum(a), OTHER),
        case("uint64_cast", lambda a: [tf.cast(a, tf.int64), tf.cast(a, tf.float64), tf.cast(a, tf.int32)], np.array([0, 1, 7, 2**40], np.uint64)),
    ]


REDUCTIONS = (tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min, tf.reduce_prod, tf.math.reduce_euclidean_norm)


def open_shapes() -> list[OpCase]:
    a, b = (np.round(np.random.default_rng(5).uniform(-2, 2, shape), 2).astype(np.float32) for shape in ([2, 3, 4], [2, 5, 4]))
    rows = [b[0], b[0][:, :2]]
    w = np.arange(-12, 12).reshape(2, 3, 4)
    n = np.array([[1, np.nan, 3], [np.nan] * 3, [-np.inf, 2, np.inf], [4, 5, 6], [np.nan, 1, 0]], np.float32)
    return [
        case("unstack_unknown_size", lambda x: tf.unstack(x, 5), rows, shapes=[[None, None]]),
        case("unstack_unknown_rank", lambda x: op("Unpack", x, num=5, axis=0), [b[0], b[0][:, 0]], shapes=[None]),
        case("unstack_unknown_rank_last", lambda x: op("Unpack", x, num=4, axis=-1), [b, b[0]], shapes=[None]),
        case("batch_matmul_adjoint_open", lambda x, y: op("BatchMatMulV2", x, y, adj_y=True), [a, a[0], a[:0]], [b, b[0], b[:0]], shapes=[None, None]),
        case("batch_matmul_adjoint_both_open", lambda x, y: op("BatchMatMulV2", x, y, adj_x=True, adj_y=True), [a, a[0]], [b[:, :, :3], b[0][:, :3]], shapes=[None, None]),
        case("mean_open", lambda x: tf.reduce_mean(x, 0), [a[0], a[0][:0]], shapes=[None]),
        case("reduce_open_negative_keep", lambda x: [f(x, -1, keepdims=True) for f in REDUCTIONS], [a, a[0], a[0][:0], a[:0], a[:, :0]], shapes=[None]),
        case("reduce_open_negative", lambda x: [f(x, -2) for f in REDUCTIONS], [a, a[0], a[:0], a[:, :, :0], a[0][:, :0]], shapes=[None]),
        case("reduce_open_negative_two", lambda x: [f(x, [-1, -2]) for f in REDUCTIONS] + [tf.reduce_sum(x, [-1, -3], keepdims=True)], [a, a[:, :, :0], a[:0]], shapes=[None]),
        case("reduce_open_mixed", lambda x: [f(x, [0, -1], keepdims=k) for f in REDUCTIONS for k in (True, False)], [a, a[0], a[:, :0]], shapes=[None]),
        case("reduce_open_empty_axis", lambda x: [f(x, -1) for f in (tf.reduce_sum, tf.reduce_prod, tf.reduce_mean, tf.math.reduce_euclidean_norm, tf.reduce_max, tf.reduce_min)], [a, a[:, :, :0]], shapes=[None]),
        case("reduce_empty_axis", lambda x: [f(x, -1) for f in (tf.reduce_sum, tf.reduce_prod, tf.reduce_mean, tf.math.reduce_euclidean_norm, tf.reduce_max, tf.reduce_min)], [a, a[:, :, :0]], shapes=[[None, None, None]]),
        case("all_any_open_negative", lambda x: [f(x > 0, -1, keepdims=k) for f in (tf.reduce_all, tf.reduce_any) for k in (True, False)], [a, a[0], a[:0], a[0][:0], a[:, :, :0]], shapes=[None]),
        case("reduce_open_negative_integers", lambda x: [f(x, -1, keepdims=k) for f in (tf.reduce_sum, tf.reduce_prod, tf.reduce_max, tf.reduce_min) for k in (True, False)], [w, w[0], w[:0]], shapes=[None]),
        case("arg_open_negative", lambda x: [tf.argmax(x, -1), tf.argmin(x, -2), tf.argmax(x, -1, tf.int32)], [a, a[0], a[0][:, :], a[:0]], shapes=[None]),
        case("extremes_nan", lambda x: [f(x, axis, keepdims=k) for f in (tf.reduce_max, tf.reduce_min) for axis in (0, -1, None) for k in (True, False)], [n, n[3:], n[:, :0]], shapes=[[None, None]]),
        case("extremes_nan_half", lambda x: [tf.reduce_max(x, 1), tf.reduce_min(x, 0)], n.astype(np.float16)),
        case("extremes_nan_double", lambda x: [tf.reduce_max(x, 1), tf.reduce_min(x, 0)], n.astype(np.float64)),
        case("reduce_empty_batch", lambda x: [tf.reduce_mean(x, 1, keepdims=True), tf.reduce_sum(x, -1), tf.reduce_max(x, 1, keepdims=True), tf.reduce_mean(x, -1, keepdims=True), tf.reduce_mean(x, -1)], [a[0], a[0][:0]]),
    ]


def cases() -> list[OpCase]:
    return moved() + small() + unsigned() + open_shapes()
