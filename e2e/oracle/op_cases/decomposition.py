"""Matrices taken apart."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers

SQUARE = numbers("decomposition/square", [2, 4, 4])
TALL = numbers("decomposition/tall", [2, 5, 3])
WIDE = numbers("decomposition/wide", [3, 5])
SYMMETRIC = SQUARE + SQUARE.transpose(0, 2, 1)
raw = tf.raw_ops


def cases() -> list[OpCase]:
    lower = SYMMETRIC.copy()
    lower[:, 0, 3] = 99
    return [
        case("qr_tall", lambda a: list(raw.Qr(input=a)), TALL),
        case("qr_tall_full", lambda a: list(raw.Qr(input=a, full_matrices=True)), TALL),
        case("qr_wide", lambda a: list(raw.Qr(input=a)), WIDE, shapes=[[3, 5]]),
        case("qr_square", lambda a: list(raw.Qr(input=a)), SQUARE.astype(np.float64)),
        case("svd_values_tall", lambda a: raw.Svd(input=a, compute_uv=False)[0], TALL),
        case("svd_values_wide", lambda a: tf.linalg.svd(a, compute_uv=False), WIDE, shapes=[[3, 5]]),
        case("svd_values_open", lambda a: tf.linalg.norm(a, ord="euclidean", axis=[-2, -1]) + tf.reduce_sum(tf.linalg.svd(a, compute_uv=False), -1), SQUARE, shapes=[[None, None, None]]),
        case("eigenvalues", lambda a: tf.linalg.eigvalsh(a), SYMMETRIC),
        case("eigenvalues_lower", lambda a: tf.linalg.eigvalsh(a), lower.astype(np.float64)),
        case("lu", lambda a: list(tf.linalg.lu(a)), SQUARE),
        case("slogdet", lambda a: list(tf.linalg.slogdet(a)), SQUARE),
        case("slogdet_singular", lambda a: list(tf.linalg.slogdet(a)), np.array([[[1, 2], [2, 4]], [[0, 1], [1, 0]]], np.float32)),
        case("least_squares", lambda a, b: tf.linalg.lstsq(a, b, l2_regularizer=0.1), TALL, numbers("decomposition/right", [2, 5, 2])),
        case("least_squares_plain", lambda a, b: tf.linalg.lstsq(a, b), TALL, numbers("decomposition/right", [2, 5, 2])),
    ]
