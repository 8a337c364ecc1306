"""Operations that move numbers or make shapes, and do no arithmetic on the values."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

const = tf.constant
IMAGE = numbers("shaping/image", [2, 3, 4, 2])
CUBE = numbers("shaping/cube", [2, 3, 4])
MATRIX = numbers("shaping/matrix", [3, 4])


def strided(label, x, begin, end, strides, shapes=None, **masks) -> OpCase:
    return case(
        "strided_slice_" + label,
        lambda a: op("StridedSlice", a, const(begin), const(end), const(strides), **masks),
        x,
        shapes=shapes,
    )


def slices() -> list[OpCase]:
    return [
        strided("plain", CUBE, [0, 1, 1], [1, 3, 4], [1, 1, 2]),
        strided("begin_end_masks", CUBE, [1, 1, 1], [1, 2, 3], [1, 1, 1], begin_mask=1, end_mask=3),
        strided("shrink", CUBE, [0, -1], [0, 0], [1, 1], begin_mask=1, end_mask=1, shrink_axis_mask=2),
        strided("ellipsis", CUBE, [0, 1], [0, 3], [1, 1], ellipsis_mask=1),
        strided("ellipsis_shrink", CUBE, [1, 0, -1], [2, 0, 0], [1, 1, 1], ellipsis_mask=2, shrink_axis_mask=5),
        strided("new_axis", MATRIX, [0, 0, 1], [0, 0, 3], [1, 1, 1], new_axis_mask=2, begin_mask=1, end_mask=1),
        strided("negative_stride", MATRIX, [0, -1], [0, -4], [1, -1], begin_mask=1, end_mask=1),
        strided("reverse_all", MATRIX, [0, 0], [0, 0], [-1, -2], begin_mask=3, end_mask=3),
        strided("out_of_range", MATRIX, [1, -9], [99, 3], [1, 1]),
        strided("empty", MATRIX, [2, 0], [1, 2], [1, 1]),
        case(
            "strided_slice_of_shape",
            lambda a: op("StridedSlice", op("Shape", a), const([1]), const([2]), const([1]), shrink_axis_mask=1),
            [CUBE, CUBE[:, :2]],
            shapes=[[None, None, 4]],
        ),
        case("slice", lambda a: op("Slice", a, const([0, 1, 0]), const([-1, 2, 3])), CUBE),
        case("slice_to_end", lambda a: op("Slice", a, const([1, 0]), const([-1, -1])), MATRIX),
        case("reverse", lambda a: op("ReverseV2", a, const([0, -1])), CUBE),
    ]


def reshapes() -> list[OpCase]:
    tall = CUBE[:, :, :1]

    def flatten(a):
        """As Keras writes Flatten: the batch from Shape, the rest computed."""
        shape = op("Shape", a)
        batch = op("StridedSlice", shape, const([0]), const([1]), const([1]), shrink_axis_mask=1)
        return op("Reshape", a, tf.raw_ops.Pack(values=[batch, const(-1)]))

    return [
        case("reshape", lambda a: op("Reshape", a, const([-1, 6])), CUBE),
        case("reshape_int64_shape", lambda a: op("Reshape", a, const([4, -1], tf.int64)), CUBE),
        case("reshape_scalar", lambda a: op("Reshape", a, const([], tf.int32)), np.ones([1, 1], np.float32)),
        case("flatten", flatten, [IMAGE, IMAGE[:1]]),
        case("squeeze_axis", lambda a: op("Squeeze", a, axis=[-1]), tall),
        case("squeeze_all", lambda a: op("Squeeze", a), tall[:1], shapes=[[1, 3, 1]]),
        case("expand_dims", lambda a: op("ExpandDims", a, const(1)), MATRIX),
        case("expand_dims_negative", lambda a: op("ExpandDims", a, const(-1)), MATRIX),
        case("transpose_nhwc_to_nchw", lambda a: op("Transpose", a, const([0, 3, 1, 2])), IMAGE),
        case("transpose_matrix", lambda a: op("Transpose", a, const([1, 0])), MATRIX),
        case("space_to_depth", lambda a: op("SpaceToDepth", a, block_size=2), numbers("std", [1, 4, 4, 2])),
        case("depth_to_space", lambda a: op("DepthToSpace", a, block_size=2), numbers("dts", [1, 2, 2, 8])),
        case(
            "space_to_batch",
            lambda a: op("SpaceToBatchND", a, const([2, 2]), const([[1, 1], [0, 0]])),
            numbers("stb", [1, 4, 4, 1]),
        ),
        case(
            "batch_to_space",
            lambda a: op("BatchToSpaceND", a, const([2, 2]), const([[0, 1], [0, 0]])),
            numbers("bts", [4, 2, 2, 1]),
        ),
    ]


def joins() -> list[OpCase]:
    pair = MATRIX, numbers("joins/2", [3, 4])
    return [
        case("concat_axis0", lambda a, b: tf.raw_ops.ConcatV2(values=[a, b], axis=const(0)), *pair),
        case("concat_last", lambda a, b: tf.raw_ops.ConcatV2(values=[a, b, a], axis=const(-1)), *pair),
        case("concat_v1", lambda a, b: tf.raw_ops.Concat(concat_dim=const(1), values=[a, b]), *pair),
        case("split", lambda a: list(op("Split", const(1), a, num_split=2)), MATRIX),
        case("split_negative", lambda a: list(op("Split", const(-1), a, num_split=4)), CUBE),
        case("split_v", lambda a: list(op("SplitV", a, const([1, -1]), const(1), num_split=2)), MATRIX),
        case("pack_axis0", lambda a, b: tf.raw_ops.Pack(values=[a, b]), *pair),
        case("pack_axis1", lambda a, b: tf.raw_ops.Pack(values=[a, b], axis=1), *pair),
        case("pack_last", lambda a, b: tf.raw_ops.Pack(values=[a, b], axis=-1), *pair),
        case("unpack_axis0", lambda a: list(op("Unpack", a, num=3)), MATRIX, shapes=[[3, 4]]),
        case("unpack_last", lambda a: list(op("Unpack", a, num=4, axis=-1)), MATRIX),
        case("tile", lambda a: op("Tile", a, const([2, 3])), MATRIX[:2, :2]),
        case("broadcast_to", lambda a: op("BroadcastTo", a, const([2, 3, 4])), MATRIX[:, :1]),
    ]


def pads() -> list[OpCase]:
    image, widths = numbers("pads", [1, 3, 3, 2]), [[0, 0], [1, 2], [0, 1], [0, 0]]
    return [
        case("pad", lambda a: op("Pad", a, const(widths)), image),
        case("pad_v2_value", lambda a: op("PadV2", a, const(widths), const(-1.5)), image),
        case("pad_int32", lambda a: op("Pad", a, const([[1, 0]])), np.array([1, 2], np.int32)),
        case("mirror_pad_reflect", lambda a: op("MirrorPad", a, const(widths), mode="REFLECT"), image),
        case("mirror_pad_symmetric", lambda a: op("MirrorPad", a, const(widths), mode="SYMMETRIC"), image),
        case(
            "pad_then_conv_valid",
            lambda a: tf.raw_ops.Conv2D(
                input=op("Pad", a, const([[0, 0], [1, 1], [1, 1], [0, 0]])),
                filter=const(numbers("pads/weights", [3, 3, 2, 1])),
                strides=[1, 2, 2, 1],
                padding="VALID",
            ),
            image,
        ),
    ]


def shapes_and_fills() -> list[OpCase]:
    unknown = [[None, None, None]]
    return [
        case("shape", lambda a: op("Shape", a), [CUBE, CUBE[:1]], shapes=unknown),
        case("shape_int64", lambda a: op("Shape", a, out_type=tf.int64), CUBE, shapes=unknown),
        case("shape_unknown_rank", lambda a: op("Shape", a), [CUBE, MATRIX], shapes=[None]),
        case("shape_n", lambda a, b: list(tf.raw_ops.ShapeN(input=[a, b])), CUBE, MATRIX),
        case("size", lambda a: op("Size", a), CUBE, shapes=unknown),
        case("rank", lambda a: op("Rank", a), CUBE, shapes=unknown),
        case("fill", lambda a: op("Fill", op("Shape", a), const(2.5)), MATRIX),
        case("zeros_like", lambda a: op("ZerosLike", a), MATRIX),
        case("ones_like", lambda a: op("OnesLike", a), MATRIX),
        case("range", lambda a: op("Range", const(2), a, const(3)), np.int32(12)),
        case("range_down", lambda a: op("Range", a, const(-1), const(-2)), np.int32(6)),
        case("range_float", lambda a: op("Range", const(0.0), a, const(0.25)), np.float32(1)),
        case("one_hot", lambda a: op("OneHot", a, const(3), const(1.0), const(0.0)), np.array([0, 2, -1, 3], np.int32)),
        case(
            "one_hot_axis0",
            lambda a: op("OneHot", a, const(3), const(5.0), const(-5.0), axis=0),
            np.array([1, 0], np.int64),
        ),
        case("matrix_band_part", lambda a: op("MatrixBandPart", a, const(0), const(-1)), CUBE),
        case("identity_n", lambda a, b: list(tf.raw_ops.IdentityN(input=[a, b])), MATRIX, CUBE),
        case("stop_gradient", lambda a: op("StopGradient", a), MATRIX),
    ]


def cast(label, values, to) -> OpCase:
    return case("cast_" + label, lambda a: op("Cast", a, DstT=to), values)


def casts() -> list[OpCase]:
    fractions = np.array([-2.7, -0.5, 0, 0.5, 1.5, 2.9], np.float32)
    return [
        cast("float_to_int32", fractions, tf.int32),
        cast("float_to_int64", fractions, tf.int64),
        cast("float_to_bool", fractions, tf.bool),
        cast("float_to_double", fractions, tf.float64),
        cast("double_to_float", np.array([0.1, 1e-3, 1e300, -1e300]), tf.float32),
        cast("float_to_half", np.array([0.1, 65504, 1e6, 1e-7], np.float32), tf.float16),
        cast("int32_to_float", np.array([-3, 0, 16777217], np.int32), tf.float32),
        cast("int64_to_int32", np.array([-3, 5, 2**32 + 7], np.int64), tf.int32),
        cast("uint8_to_float", np.array([0, 128, 255], np.uint8), tf.float32),
        cast("int32_to_uint8", np.array([0, 255, 256, -1], np.int32), tf.uint8),
        cast("bool_to_float", np.array([True, False]), tf.float32),
        cast("bool_to_int32", np.array([True, False]), tf.int32),
    ]


def gathers() -> list[OpCase]:
    indices = np.array([[2, 0], [1, 1]], np.int32)
    points = np.array([[0, 1], [2, 3]], np.int32)
    return [
        case("gather_axis0", lambda a, i: op("GatherV2", a, i, const(0)), MATRIX, indices),
        case("gather_axis1", lambda a, i: op("GatherV2", a, i, const(1)), MATRIX, indices),
        case("gather_negative_axis", lambda a, i: op("GatherV2", a, i, const(-1)), CUBE, np.array([3, 0], np.int64)),
        case("gather_scalar_index", lambda a, i: op("GatherV2", a, i, const(0)), MATRIX, np.int32(1)),
        case(
            "gather_batch_dims",
            lambda a, i: op("GatherV2", a, i, const(1), batch_dims=1),
            CUBE,
            indices,
        ),
        case("gather_v1", lambda a, i: op("Gather", a, i), MATRIX, indices),
        case("gather_nd", lambda a, i: op("GatherNd", a, i), MATRIX, points),
        case("gather_nd_rows", lambda a, i: op("GatherNd", a, i), CUBE, np.array([[1], [0]], np.int32)),
        case(
            "scatter_nd",
            lambda i, v: op("ScatterNd", i, v, const([4, 2])),
            np.array([[1], [3], [1]], np.int32),
            numbers("scatter", [3, 2]),
        ),
    ]


def resize(label, name, size, output, **attributes) -> OpCase:
    x = numbers("resize/" + label, [1, *size, 1])
    return case(
        f"{name}_{label}".lower(), lambda a: op(name, a, const(output), **attributes), x
    )


def resizes() -> list[OpCase]:
    up, down, thirds = ([2, 3], [4, 6]), ([5, 6], [3, 2]), ([3, 3], [7, 5])
    found = []
    for name in ("ResizeBilinear", "ResizeNearestNeighbor"):
        for label, sizes in (("up", up), ("down", down), ("ratio", thirds)):
            found += [
                resize(label, name, *sizes),
                resize(label + "_half_pixel", name, *sizes, half_pixel_centers=True),
                resize(label + "_align_corners", name, *sizes, align_corners=True),
            ]
    return found


def cases() -> list[OpCase]:
    groups = (slices, reshapes, joins, pads, shapes_and_fills, casts, gathers, resizes)
    return [found for group in groups for found in group()]
