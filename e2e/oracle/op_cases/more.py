"""Operations that came later: volumes, bands, computed bounds, boxes, segments, loops over lists."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

const = tf.constant
VOLUME = numbers("more/volume", [2, 5, 6, 7, 2])
MATRIX = numbers("more/matrix", [3, 4])
BOXES = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [0, 10.1, 1, 11.1], [0, 100, 1, 101]], np.float32)
SCORES = np.array([0.9, 0.75, 0.6, 0.95, 0.5, 0.3], np.float32)


def volumes() -> list[OpCase]:
    kernel = numbers("more/kernel", [3, 2, 3, 2, 4])
    return [
        case(f"conv3d_{padding.lower()}_strided", lambda a, p=padding: op("Conv3D", a, const(kernel), strides=[1, 2, 1, 2, 1], padding=p), VOLUME)
        for padding in ("SAME", "VALID")
    ] + [
        case("max_pool3d", lambda a: op("MaxPool3D", a, ksize=[1, 2, 2, 2, 1], strides=[1, 2, 2, 2, 1], padding="VALID"), VOLUME),
        case("avg_pool3d_same", lambda a: op("AvgPool3D", a, ksize=[1, 3, 3, 3, 1], strides=[1, 2, 2, 2, 1], padding="SAME"), VOLUME),
    ]


def arithmetic() -> list[OpCase]:
    x = np.array([0, 1, -1, 2, 0, -0.5], np.float32)
    y = np.array([0, 0, 0, -3, 5, -0.5], np.float32)
    positive = np.abs(y) + 0.5
    return [
        case("mul_no_nan", lambda a, b: op("MulNoNan", a, b), np.array([np.inf, 2, np.nan], np.float32), np.array([0, 3, 0], np.float32)),
        case("xlogy", lambda a, b: op("Xlogy", a, b), x, positive),
        case("xdivy", lambda a, b: op("Xdivy", a, b), x, positive),
        case("atan2_axes", lambda a, b: op("Atan2", a, b), x, y),
        case("roll", lambda a: op("Roll", a, const([1, -2]), const([0, 1])), MATRIX, shapes=[[3, 4]]),
        case("matrix_band_part_int", lambda a: op("MatrixBandPart", a, const(0, tf.int64), const(1, tf.int64)), np.arange(9, dtype=np.int32).reshape(3, 3)),
    ]


def slicing() -> list[OpCase]:
    return [
        case("strided_slice_computed", lambda a, n: a[n[0] : n[1], n[2]], [MATRIX, MATRIX], [np.array([0, 2, 1], np.int32), np.array([1, 3, -1], np.int32)]),
        case("tensor_scatter_update", lambda a, i, u: op("TensorScatterUpdate", a, i, u), MATRIX, np.array([[2], [0]], np.int32), MATRIX[:2]),
        case("tensor_scatter_add", lambda a, i, u: op("TensorScatterAdd", a, i, u), MATRIX, np.array([[2], [2]], np.int32), MATRIX[:2]),
        case("reverse_sequence", lambda a, n: op("ReverseSequence", a, n, seq_dim=1, batch_dim=0), MATRIX, np.array([2, 4, 1], np.int64)),
        case("gather_batch_dims_deep", lambda a, i: tf.gather(a, i, batch_dims=1), numbers("more/deep", [2, 4, 3]), np.array([[3, 0], [1, 1]], np.int32)),
        case("invert_permutation", lambda a: op("InvertPermutation", a), np.array([2, 0, 3, 1], np.int32)),
        case("segment_sum", lambda a, s: op("SegmentSum", a, s), MATRIX, np.array([0, 0, 2], np.int32)),
        case("segment_mean", lambda a, s: op("SegmentMean", a, s), MATRIX, np.array([0, 0, 1], np.int32)),
        case("segment_max", lambda a, s: op("SegmentMax", a, s), MATRIX, np.array([0, 1, 1], np.int32)),
        case("ragged_to_dense", lambda v, s: tf.RaggedTensor.from_row_splits(v, s, validate=False).to_tensor(-1.0), SCORES, np.array([0, 2, 2, 6], np.int64)),
    ]


def boxes() -> list[OpCase]:
    return [
        case("non_max_suppression_v3", lambda b, s: op("NonMaxSuppressionV3", b, s, const(3), const(0.5), const(0.4)), BOXES, SCORES),
        case("non_max_suppression_v4", lambda b, s: list(op("NonMaxSuppressionV4", b, s, const(5), const(0.5), const(0.0), pad_to_max_output_size=True)), BOXES, SCORES),
        case("non_max_suppression_v5", lambda b, s: list(op("NonMaxSuppressionV5", b, s, const(5), const(0.5), const(0.0), const(0.0))), BOXES, SCORES),
    ]


def loops() -> list[OpCase]:
    x = numbers("more/steps", [2, 5, 3])
    kernel = numbers("more/weights", [3, 3])

    def recurrent(a):
        """Written as Keras writes its recurrent layers."""
        steps = tf.transpose(a, [1, 0, 2])
        count = tf.shape(steps)[0]
        source = tf.TensorArray(tf.float32, count).unstack(steps)
        target = tf.TensorArray(tf.float32, count)

        def body(time, state, written):
            state = tf.tanh(tf.matmul(source.read(time) + state, const(kernel)))
            return time + 1, state, written.write(time, state)

        start = (tf.constant(0), tf.zeros_like(a[:, 0, :]), target)
        _, last, written = tf.while_loop(lambda time, *_: time < count, body, start)
        return [last, tf.transpose(written.stack(), [1, 0, 2])]

    def growing(a):
        return tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, tf.concat([v, v[:1] + 1.0], 0)), (const(0), a), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 4])))[1]

    def nested(a):
        def step(i, v):
            return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: v * 2.0, lambda: v - 1.0)

        return tf.while_loop(lambda i, _: i < 4, step, (const(0), a))[1]

    def case_branches(i, a):
        return tf.switch_case(i, [lambda: a + 1.0, lambda: a * 3.0, lambda: -a])

    return [
        case("loop_over_lists", recurrent, [x, x[:1, :2]], shapes=[[None, None, 3]]),
        case("loop_growing", growing, MATRIX),
        case("loop_with_branch", nested, MATRIX),
        case("case_branches", case_branches, [np.int32(0), np.int32(1), np.int32(2), np.int32(9)], [MATRIX] * 4),
    ]


def cases() -> list[OpCase]:
    return [*volumes(), *arithmetic(), *slicing(), *boxes(), *loops()]
