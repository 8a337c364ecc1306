"""Graphs whose work happens in the function library: calls, branches and loops."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers


@tf.function
def _scaled(a, factor):
    return a * factor + 1.0


@tf.function
def _twice(a):
    return _scaled(_scaled(a, 2.0), 0.5)


def _branch(a):
    return tf.cond(tf.reduce_sum(a) > 0.0, lambda: a * 2.0, lambda: -a)


def _loop(a, count):
    """a * 2 + 1, `count` times."""
    _, result = tf.while_loop(
        lambda i, _: i < count, lambda i, value: (i + 1, value * 2.0 + 1.0), (tf.constant(0), a)
    )
    return result


def cases() -> list[OpCase]:
    x = numbers("functions", [2, 3])
    return [
        case("function_call", lambda a: _scaled(a, tf.constant(3.0)), x),
        case("function_call_nested", _twice, x),
        case("if_branch", _branch, [np.abs(x), -np.abs(x)]),
        case("while_loop", _loop, [x, x], [np.int32(0), np.int32(5)]),
    ]
