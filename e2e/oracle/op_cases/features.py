"""Cases of what stands before a network: crossed features, random numbers for a seed, 16-bit inputs."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

MATRIX = numbers("features/matrix", [3, 4])
SEED = np.array([7, -3], np.int32)
TOWNS = np.array([[b"rome", b"oslo"], [b"", b"bern"], [b"rome", b""]], object)
CODES = np.array([[3, 0], [-5, 7], [0, 12]], np.int64)


def sparse_of(dense):
    return tf.sparse.from_dense(dense)


def parts(tensor):
    return [tensor.indices, tensor.values, tensor.dense_shape]


def ragged_of(dense, empty):
    return tf.RaggedTensor.from_tensor(dense, padding=empty)


def cross_hashed(towns, codes, strong):
    a, b = sparse_of(towns), sparse_of(codes)
    return list(tf.raw_ops.SparseCrossHashed(indices=[a.indices, b.indices], values=[a.values, b.values], shapes=[a.dense_shape, b.dense_shape], dense_inputs=[], num_buckets=tf.constant(1000, tf.int64), strong_hash=tf.constant(strong), salt=tf.constant([137, 9], tf.int64)))


def cross_separated(towns, codes):
    a = sparse_of(towns)
    return list(tf.raw_ops.SparseCrossV2(indices=[a.indices], values=[a.values], shapes=[a.dense_shape], dense_inputs=[codes, towns], sep=tf.constant("|")))


def ragged_cross(towns, codes, hashed):
    towns_ragged, codes_sparse = ragged_of(towns, ""), sparse_of(codes)
    result = tf.ragged.cross_hashed([codes_sparse, towns_ragged], 50) if hashed else tf.ragged.cross([towns_ragged, codes_sparse, towns])
    return [result.values, result.row_splits]


def crosses() -> list[OpCase]:
    return [
        case("sparse_cross", lambda a, b: parts(tf.sparse.cross([sparse_of(a), sparse_of(b)])), TOWNS, CODES),
        case("sparse_cross_dense", lambda a, b: parts(tf.sparse.cross_hashed([sparse_of(a), b, a], 0)), TOWNS, CODES),
        case("sparse_cross_buckets", lambda a, b: parts(tf.sparse.cross_hashed([sparse_of(a), sparse_of(b)], 100, 1234)), TOWNS, CODES),
        case("sparse_cross_separator", cross_separated, TOWNS, CODES),
        case("sparse_cross_hashed", lambda a, b: cross_hashed(a, b, False), TOWNS, CODES),
        case("sparse_cross_keyed", lambda a, b: cross_hashed(a, b, True), TOWNS, CODES),
        case("ragged_cross", lambda a, b: ragged_cross(a, b, False), TOWNS, CODES),
        case("hash_bucket_old", lambda a: [op("StringToHashBucket", a, num_buckets=1000), op("StringToHashBucket", tf.strings.join([a, a, a, "tail"]), num_buckets=2**40)], TOWNS),
        case("hash_bucket_wide_key", lambda a: op("StringToHashBucketStrong", a, num_buckets=2**40, key=[2**62 + 12345, -(2**61) - 1]), TOWNS),
        case("zeros_like_strings", lambda a: tf.zeros_like(a), TOWNS),
        case("ragged_cross_hashed", lambda a, b: ragged_cross(a, b, True), TOWNS, CODES),
    ]


def random_numbers() -> list[OpCase]:
    random = tf.random

    def old_ops(seed):
        shape = tf.constant([5])
        bounds = (tf.constant(-4), tf.constant(90))
        return [
            op("StatelessRandomUniform", shape, seed),
            op("StatelessRandomNormal", shape, seed),
            op("StatelessTruncatedNormal", shape, seed),
            op("StatelessRandomUniformInt", shape, seed, *bounds),
            op("StatelessRandomUniformFullInt", shape, seed, dtype=tf.int32),
        ]

    def algorithm(seed):
        return [*op("StatelessRandomGetKeyCounter", seed), op("StatelessRandomGetAlg")]

    def shuffled(seed, rows):
        key, counter = op("StatelessRandomGetKeyCounter", seed)
        return op("StatelessShuffle", rows, key, counter, tf.constant(1))

    return [
        case("stateless_uniform", lambda s: random.stateless_uniform([3, 5], s), SEED),
        case("stateless_uniform_double", lambda s: random.stateless_uniform([7], s, dtype=tf.float64), SEED.astype(np.int64) * 2**40),
        case("stateless_uniform_int", lambda s: [random.stateless_uniform([6], s, -5, 100, tf.int32), random.stateless_uniform([5], s, -(2**40), 2**41, tf.int64)], SEED),
        case("stateless_uniform_bits", lambda s: [random.stateless_uniform([6], s, None, None, tf.int32), random.stateless_uniform([5], s, None, None, tf.int64), random.stateless_uniform([5], s, None, None, tf.uint64)], SEED),
        case("stateless_normal", lambda s: random.stateless_normal([9], s, 1.0, 2.0), SEED),
        case("stateless_normal_double", lambda s: random.stateless_normal([5], s, dtype=tf.float64), SEED),
        case("stateless_truncated_normal", lambda s: random.stateless_truncated_normal([70], s), SEED),
        case("stateless_old_ops", old_ops, SEED),
        case("stateless_seeds", lambda s: [random.split(s, 3), random.fold_in(s, 5)], SEED),
        case("stateless_algorithm", algorithm, SEED),
        case("stateless_shuffle", shuffled, SEED, numbers("features/rows", [11, 2])),
        case("stateless_categorical", lambda s, a: random.stateless_categorical(a, 9, s), SEED, MATRIX[:1]),
    ]


def short_floats() -> list[OpCase]:
    half = MATRIX.astype(np.float16)
    brain = MATRIX.astype(ml_dtypes.bfloat16)

    def both(a):
        return [a * 2 + 1, tf.transpose(a), tf.cast(a, tf.float32), tf.nn.softmax(a)]

    def normalized(a):
        image = tf.reshape(a, [1, 3, 2, 2])
        return op("FusedBatchNormV3", image, *[tf.constant(v) for v in ([1.5, 0.5], [0.25, -1.0], [0.5, 0.0], [1.0, 2.0])], is_training=False)[0]

    return [
        case("half_inputs", both, half),
        case("bfloat16_inputs", both, brain),
        case("bfloat16_matmul", lambda a: tf.matmul(a, a, transpose_b=True), brain),
        case("bfloat16_batch_norm", normalized, brain),
        case("half_batch_norm", normalized, half),
    ]


def cases() -> list[OpCase]:
    return [*crosses(), *random_numbers(), *short_floats()]
