"""Arithmetic, broadcasting, activations, comparisons and selection."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

SPECIAL = np.array(
    ["nan", "inf", "-inf", "-0.0", "0.0", "1e-30", "-3.5", "2.5", "0.5", "1.5", "-0.5", "88.5", "-88.5"],
    np.float32,
)


def unary(name: str, low=-2.0, high=2.0, special=True, **attributes) -> list[OpCase]:
    """One case of ordinary numbers in two lengths and, unless switched off, one of SPECIAL."""
    label = "unary_" + name.lower()

    def build(x):
        return op(name, x, **attributes)

    runs = [numbers(label, [5], low, high), numbers(label + "/2", [12], low, high)]
    return [case(label, build, runs)] + [case(label + "_special", build, SPECIAL)] * special


def each_unary(names: str, *bounds: float, special=True) -> list[OpCase]:
    return [found for name in names.split() for found in unary(name, *bounds, special=special)]


def binary(label: str, name: str, x: np.ndarray, y: np.ndarray, shapes=None) -> OpCase:
    return case(label, lambda a, b: op(name, a, b), x, y, shapes=shapes)


def unaries() -> list[OpCase]:
    return [
        *each_unary("Relu Relu6 Elu Selu Sigmoid Tanh Softplus Softsign"),
        *each_unary("Neg Abs Sign Square Exp Expm1 Erf Erfc IsNan IsInf IsFinite"),
        *each_unary("Floor Ceil Round Rint", -4, 4),
        *each_unary("Sqrt Rsqrt Log Reciprocal Inv Log1p", 0.1, 4),
        *each_unary("Sin Cos Tan Sinh Cosh Atan Asinh", special=False),
        *each_unary("Asin Acos Atanh", -1, 1, special=False),
        *each_unary("Acosh", 1, 4, special=False),
        *unary("LeakyRelu", alpha=0.3),
        case("gelu_exact", lambda x: tf.nn.gelu(x, approximate=False), numbers("gelu", [4, 5])),
        case("gelu_tanh", lambda x: tf.nn.gelu(x, approximate=True), numbers("gelu", [4, 5])),
        case("hard_sigmoid", lambda x: tf.nn.relu6(x + 3.0) / 6.0, numbers("hard", [8], -5, 5)),
        case("swish", lambda x: x * tf.sigmoid(x), numbers("swish", [4, 5])),
        case("prelu", lambda x: tf.nn.relu(x) - 0.25 * tf.nn.relu(-x), numbers("prelu", [2, 4])),
        case("clip_by_value", lambda x: op("ClipByValue", x, -0.5, 1.0), numbers("clip", [4, 5])),
        case("softmax", lambda x: op("Softmax", x), [numbers("soft", [1, 5]), numbers("soft/2", [3, 5])]),
        case("softmax_rank3_large", lambda x: op("Softmax", x), numbers("soft/3", [2, 2, 3], -90, 90)),
        case("log_softmax", lambda x: op("LogSoftmax", x), numbers("log", [3, 5], -20, 20)),
    ]


def arithmetic() -> list[OpCase]:
    matrix, row = numbers("matrix", [2, 3]), numbers("row", [3])
    column, scalar = numbers("column", [2, 1]), np.float32(1.5)
    outer = numbers("outer", [2, 1, 3]), numbers("outer/2", [4, 1])
    positive = numbers("positive", [2, 3], 0.5, 2)
    left = np.array([7, -7, 7, -7, 6, -6, 0, 1], np.int32)
    right = np.array([3, 3, -3, -3, 3, -2, 5, -4], np.int32)
    fractions = left.astype(np.float32) * np.float32(0.75), right.astype(np.float32) * np.float32(0.5)
    names = ("AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "SquaredDifference")
    integer_names = ("AddV2", "Sub", "Mul", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod", "Maximum")
    return [
        *(binary(f"{name.lower()}_row", name, matrix, row) for name in names),
        *(binary(f"{name.lower()}_outer", name, *outer) for name in ("AddV2", "Sub", "Mul", "RealDiv")),
        binary("sub_scalar", "Sub", matrix, scalar),
        binary("sub_from_scalar", "Sub", scalar, matrix),
        binary("add_column", "Add", matrix, column),
        binary("div", "Div", matrix, positive),
        binary("div_no_nan", "DivNoNan", matrix, np.array([0, 2, 0], np.float32)),
        binary("real_div_by_zero", "RealDiv", np.array([1, -1, 0], np.float32), np.zeros(3, np.float32)),
        binary("maximum_special", "Maximum", SPECIAL, SPECIAL[::-1].copy()),
        binary("minimum_special", "Minimum", SPECIAL, SPECIAL[::-1].copy()),
        binary("pow", "Pow", positive, matrix),
        binary("atan2", "Atan2", matrix, row),
        *(binary(f"int32_{name.lower()}", name, left, right) for name in integer_names),
        binary("int32_div", "Div", left, right),
        binary("int64_floordiv", "FloorDiv", left.astype(np.int64), right.astype(np.int64)),
        binary("int32_wraps", "AddV2", np.array([2**31 - 1, -(2**31)], np.int32), np.array([1, -1], np.int32)),
        binary("float_floordiv", "FloorDiv", *fractions),
        binary("float_floormod", "FloorMod", *fractions),
        case(
            "addn",
            lambda x, y, z: tf.raw_ops.AddN(inputs=[x, y, z]),
            numbers("addn", [2, 2]),
            numbers("addn/2", [2, 2]),
            numbers("addn/3", [2, 2]),
        ),
    ]


def comparisons() -> list[OpCase]:
    left = np.array([1, 2, 3, np.nan, np.inf, -0.0], np.float32)
    right = np.array([1, 3, 2, np.nan, np.inf, 0.0], np.float32)
    names = ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual")
    truth = np.array([True, True, False, False]), np.array([True, False, True, False])
    whole = np.array([[1, 5, 3]], np.int32), np.array([[1], [4]], np.int32)
    return [
        *(binary(f"{name.lower()}_float", name, left, right) for name in names),
        binary("less_int32_broadcast", "Less", *whole, shapes=[[1, 3], [2, 1]]),
        binary("equal_int64", "Equal", np.array([1, 2**53 + 1], np.int64), np.array([1, 2**53], np.int64)),
        binary("logical_and", "LogicalAnd", *truth),
        binary("logical_or", "LogicalOr", *truth),
        case("logical_not", lambda x: op("LogicalNot", x), truth[0]),
        binary("logical_xor", "NotEqual", *truth),
    ]


def selection() -> list[OpCase]:
    first, second = numbers("select", [2, 3]), numbers("select/2", [2, 3])
    mask = np.array([[True, False, True], [False, False, True]])
    rows = np.array([True, False])
    return [
        case("select", lambda x, y, z: op("Select", x, y, z), mask, first, second),
        case("select_rows", lambda x, y, z: op("Select", x, y, z), rows, first, second),
        case("selectv2", lambda x, y, z: op("SelectV2", x, y, z), mask, first, second),
        case(
            "selectv2_broadcast",
            lambda x, y, z: op("SelectV2", x, y, z),
            rows.reshape(2, 1),
            first,
            np.float32(-1),
        ),
        case("where_indices", lambda x: op("Where", x), mask),
        case(
            "select_int32",
            lambda x, y: op("SelectV2", op("Greater", x, y), x, y),
            np.array([1, 5, 3], np.int32),
            np.array([4, 2, 3], np.int32),
        ),
    ]


def fake_quantization() -> list[OpCase]:
    values = np.append(numbers("fq", [3, 4], -4.0, 4.0), np.float32([[0.0, 100.0, -100.0, 0.013]]), axis=0)
    quantization = tf.quantization
    return [
        case("fake_quant_args", lambda a: quantization.fake_quant_with_min_max_args(a, -2.0, 3.1), values),
        case("fake_quant_narrow", lambda a: quantization.fake_quant_with_min_max_args(a, -6, 6, 4, narrow_range=True), values),
        case("fake_quant_vars", lambda a: quantization.fake_quant_with_min_max_vars(a, 0.0, 5.5), values),
        case("fake_quant_no_range", lambda a: quantization.fake_quant_with_min_max_vars(a, 0.0, 0.0), values),
        case(
            "fake_quant_channels",
            lambda a: quantization.fake_quant_with_min_max_vars_per_channel(
                a, [-1.0, -2.0, 0.5, 0.0], [1.0, 1.5, 2.0, 0.0], num_bits=4
            ),
            values,
        ),
    ]


def cases() -> list[OpCase]:
    return [*unaries(), *arithmetic(), *comparisons(), *selection(), *fake_quantization()]
