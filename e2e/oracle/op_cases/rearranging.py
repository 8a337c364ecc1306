"""Operations that the engine's host computes: bits, counting, ragged and sparse tensors, pictures, characters."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op
from .host import texts

INTEGERS = np.array([-7, 0, 5, 2**31 - 1], np.int32)
BYTES = np.array([250, 3, 7, 0], np.uint8)


def bits() -> list[OpCase]:
    return [
        case("bitwise", lambda a, b: [op("BitwiseAnd", a, b), op("BitwiseOr", a, b), op("BitwiseXor", a, b)], INTEGERS, np.array([3], np.int32)),
        case("bitwise_shifts", lambda a, b: [op("LeftShift", a, b), op("RightShift", a, b)], INTEGERS, np.array([1, 3, 31, 2], np.int32)),
        case("bitwise_invert", lambda a, b: [op("Invert", a), op("Invert", b), op("PopulationCount", b)], INTEGERS, BYTES),
        case("bitcast", lambda a: [tf.bitcast(a, tf.float32), tf.bitcast(a, tf.uint8)], INTEGERS),
    ]


def counting() -> list[OpCase]:
    ids = np.array([1, 0, 3, 1], np.int32)
    x = numbers("counting", [4, 3])
    return [
        case("dense_bincount", lambda a: [op("DenseBincount", a, tf.constant(5), tf.zeros([0], tf.int64)), op("DenseBincount", tf.reshape(a, [2, 2]), tf.constant(4), tf.zeros([0]), binary_output=True)], ids),
        case("search_sorted", lambda a: [tf.searchsorted([-1.0, 0.0, 1.0], a), tf.searchsorted([-1.0, 0.0, 1.0], a, side="right")], np.array([-2, -1, 0.5, 1], np.float32)),
        case("in_top_k", lambda a: tf.math.in_top_k([0, 1, 2, 2], a, 2), x),
        case("cumprod", lambda a: [tf.math.cumprod(a, 1), tf.math.cumprod(a, 0, exclusive=True, reverse=True)], x),
        case("histogram", lambda a: tf.histogram_fixed_width(a, [-1.0, 1.0], 4), x),
        case("dynamic_partition", lambda a, i: tf.dynamic_partition(a, i % 2, 2), x, ids),
        case("dynamic_stitch", lambda a: tf.dynamic_stitch([[0, 2], [1, 3, 2]], [a[:2], a[1:]]), x),
        case("unsorted_segments", lambda a, i: [tf.math.unsorted_segment_max(a, i, 5), tf.math.unsorted_segment_min(a, i, 5), tf.math.unsorted_segment_prod(a, i, 5)], x, ids),
        case("tensor_scatter_extremes", lambda a: [tf.tensor_scatter_nd_max(a, [[0, 1], [2, 2]], [0.5, 0.5]), tf.tensor_scatter_nd_min(a, [[1, 1]], [-9.0]), tf.tensor_scatter_nd_sub(a, [[3, 0]], [1.0])], x),
        case("list_diff", lambda a: list(tf.raw_ops.ListDiff(x=a, y=tf.constant([1, 7]))), ids),
        case("special_functions", lambda a: [tf.math.lgamma(a), tf.math.digamma(a), tf.math.erfinv(a / 3.0), tf.math.ndtri(tf.sigmoid(a)), tf.math.bessel_i0e(a), tf.math.bessel_i1e(a)], x),
        case("one_hot_small", lambda a: tf.one_hot(a, 3, dtype=tf.uint8), BYTES),
    ]


def ragged() -> list[OpCase]:
    lengths, values = np.array([2, 0, 3], np.int32), numbers("ragged", [5])

    def build(lengths, values):
        rows = tf.RaggedTensor.from_row_lengths(values, lengths)
        sparse = rows.to_sparse()
        return [tf.gather(rows, [2, 0]).flat_values, tf.ragged.range(lengths).flat_values, tf.ragged.stack([rows, rows]).to_tensor(-1.0), sparse.indices, sparse.dense_shape]

    return [case("ragged_tensors", build, lengths, values)]


def sparse() -> list[OpCase]:
    def build(a):
        s = tf.sparse.from_dense(tf.nn.relu(a))
        made = [tf.sparse.transpose(s), tf.sparse.slice(s, [0, 1], [2, 2]), tf.sparse.concat(1, [s, s]), tf.sparse.softmax(s), tf.sparse.add(s, s), tf.sparse.maximum(s, s), s * a]
        dense = [tf.sparse.to_dense(each) for each in made]
        return [*dense, tf.sparse.reduce_sum(s, 1), tf.sparse.reduce_max(s, 0), tf.sparse.sparse_dense_matmul(s, tf.transpose(a)), tf.sparse.add(a, s)]

    return [case("sparse_arithmetic", build, numbers("sparse", [3, 4]))]


def pictures() -> list[OpCase]:
    image = numbers("pictures", [1, 5, 7, 3], 0.0, 1.0)
    rows = tf.cast(tf.image.resize(image[0] * 255.0, [13, 18], "bicubic"), tf.uint8)
    encoded = [tf.io.encode_jpeg(rows, quality=85), tf.io.encode_jpeg(rows, quality=70, progressive=True), tf.io.encode_jpeg(rows, chroma_downsampling=False), tf.io.encode_png(rows[:6, :6]), tf.io.encode_png(tf.cast(rows[:6, :6, :1], tf.uint16) * 200)]
    contents = np.array([each.numpy() for each in encoded], object)

    def decode(b):
        return [tf.io.decode_jpeg(b[0]), tf.io.decode_jpeg(b[1], channels=3, dct_method="INTEGER_ACCURATE"), tf.io.decode_jpeg(b[2], channels=1), tf.io.decode_png(b[3], channels=1), tf.io.decode_png(b[4], dtype=tf.uint16)]

    resized = {"bicubic": "bicubic", "area": "area", "lanczos3": "lanczos3", "gaussian": "gaussian", "mitchellcubic": "mitchellcubic"}
    return [
        case("decode_pictures", decode, contents),
        *[case(f"resize_{name}", lambda a, method=method: [tf.image.resize(a, [3, 4], method), tf.image.resize(a, [9, 8], method)], image) for name, method in resized.items()],
        case("resize_bicubic_legacy", lambda a: tf.compat.v1.image.resize_bicubic(a, [4, 9]), image),
        case("resize_antialias", lambda a: tf.image.resize(a, [2, 3], antialias=True), image),
        case("colors", lambda a: [tf.image.rgb_to_hsv(a), tf.image.hsv_to_rgb(a), tf.image.adjust_hue(a, 0.2), tf.image.adjust_saturation(a, 1.5), tf.image.adjust_contrast(a, 2.0)], image),
        case("pad_computed", lambda a, p: [tf.pad(a, p), tf.pad(a, p, constant_values=2.0), tf.pad(a, p, "REFLECT")], numbers("pad_computed", [3, 4]), np.array([[1, 0], [0, 2]], np.int32)),
    ]


def characters() -> list[OpCase]:
    words = texts("a bc", "Äö日", "", "x")

    def build(s):
        points = tf.strings.unicode_decode(s, "UTF-8")
        tokens = tf.strings.split(s)
        return [points.flat_values, points.row_splits, tf.strings.unicode_encode(points, "UTF-8"), tf.strings.substr(s, 0, 1, unit="UTF8_CHAR"), tf.strings.ngrams(tokens, [1, 2]).flat_values, tf.strings.to_hash_bucket_strong(s, 1000, [1, 2]), tf.strings.reduce_join(tokens, axis=-1, separator="_")]

    return [case("characters", build, words)]


def matrices() -> list[OpCase]:
    x = numbers("matrices", [2, 3, 3])

    def build(a):
        s = tf.matmul(a, a, transpose_b=True) + 3.0 * tf.eye(3)
        lower = tf.linalg.cholesky(s)
        return [lower, tf.linalg.inv(s), tf.linalg.det(a), tf.linalg.solve(s, a), tf.linalg.triangular_solve(lower, a), tf.linalg.triangular_solve(lower, a, adjoint=True), tf.linalg.diag_part(a), tf.linalg.set_diag(a, a[:, 0]), tf.linalg.cross(a, s)]

    return [case("matrices", build, x)]


def normalizations() -> list[OpCase]:
    x = numbers("batch_statistics", [2, 3, 4, 3])
    return [
        case("batch_statistics", lambda a: list(tf.raw_ops.FusedBatchNormV3(x=a, scale=[1.0, 2.0, 0.5], offset=[0.0, 1.0, 2.0], mean=[], variance=[], is_training=True))[:3], x),
        case("matmul_int8", lambda a: tf.raw_ops.BatchMatMulV3(x=a, y=tf.transpose(a), Tout=tf.int32), np.array([[100, -7], [5, 127]], np.int8)),
        case("unknown_rank", lambda a: [tf.rank(a), tf.reduce_sum(a), tf.squeeze(a)], x, shapes=[None]),
    ]


def cases() -> list[OpCase]:
    return [*bits(), *counting(), *ragged(), *sparse(), *pictures(), *characters(), *matrices(), *normalizations()]
