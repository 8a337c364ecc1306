"""Integers that stand for ranges of floats, whole and along an axis."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

const = tf.constant
X = np.concatenate([numbers("quantized/x", [28], -3, 3), np.array([0.5, 1.5, -0.5, 0], np.float32)]).reshape(8, 4)
LOW, HIGH = np.array(-1.7, np.float32), np.array(2.3, np.float32)
LOWS, HIGHS = np.array([-1, -0.5, 0, -2], np.float32), np.array([1, 2, 3, 0], np.float32)
HELD = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "qint16": "int16", "quint16": "uint16"}


def there(mode: str, dtype: str, low=LOW, high=HIGH, **attributes) -> OpCase:
    name = "_".join(["quantize", mode.lower(), dtype, *attributes])

    def build(x, a, b):
        y, least, most = op("QuantizeV2", x, a, b, T=getattr(tf, dtype), mode=mode, **attributes)
        return [tf.bitcast(y, getattr(tf, HELD[dtype])), least, most, tf.raw_ops.Dequantize(input=y, min_range=least, max_range=most, mode=mode, **{k: v for k, v in attributes.items() if k in ("axis", "narrow_range")})]

    return case(name, build, X, low, high)


def quantizing() -> list[OpCase]:
    dtypes = ("qint8", "quint8", "qint16", "quint16")
    plain = [there(mode, dtype) for mode in ("MIN_COMBINED", "SCALED") for dtype in dtypes]
    first = [there("MIN_FIRST", dtype) for dtype in ("qint8", "quint8")]
    return plain + first + [
        there("SCALED", "qint8", narrow_range=True),
        there("SCALED", "qint8", LOWS, HIGHS, axis=1),
        there("MIN_COMBINED", "quint8", LOWS, HIGHS, axis=1),
    ]


def on_grid() -> list[OpCase]:
    def v4(name, low=LOW, high=HIGH, **attributes):
        return case(f"quantize_and_dequantize_{name}", lambda x, a, b: op("QuantizeAndDequantizeV4", x, a, b, **attributes), X, low, high)

    return [
        v4("computed"),
        v4("given", range_given=True),
        v4("unsigned", range_given=True, signed_input=False),
        v4("narrow", range_given=True, narrow_range=True, num_bits=4),
        v4("half_up", range_given=True, round_mode="HALF_UP", num_bits=4),
        v4("axis_computed", LOWS, HIGHS, axis=1),
        case("quantize_and_dequantize_v3", lambda x, a, b: op("QuantizeAndDequantizeV3", x, a, b, const(6), range_given=True), X, LOW, HIGH),
        case("quantize_and_dequantize_v2_double", lambda x, a, b: op("QuantizeAndDequantizeV2", x, a, b, range_given=True), X.astype(np.float64), LOW.astype(np.float64), HIGH.astype(np.float64)),
    ]


def constants() -> list[OpCase]:
    def build(x):
        held = tf.bitcast(tf.constant(np.arange(-6, 6, dtype=np.int8).reshape(4, 3)), tf.qint8)
        return x @ tf.raw_ops.Dequantize(input=held, min_range=-1.0, max_range=1.0, mode="SCALED")

    return [case("dequantize_constant", build, X)]


def cases() -> list[OpCase]:
    return quantizing() + on_grid() + constants()
