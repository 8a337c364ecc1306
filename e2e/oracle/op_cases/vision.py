"""Cases of images and boxes: selection for several classes, crops, patches, blocks of computed size, transposed volumes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op


def boxes_of(name: str, shape: list[int]) -> np.ndarray:
    """Corners in the unit square and a little beyond, in no order."""
    return numbers(name, [*shape, 4], -0.1, 1.1)


def close_boxes(name: str, count: int) -> np.ndarray:
    first = numbers(name, [count, 2], 0.0, 0.5)
    return np.concatenate([first, first + np.float32(0.4)], 1)


# No two are equal: which of two equal ones comes first is not settled.
SCORES = numbers("vision/scores", [2, 9, 3], 0.0, 1.0) + np.arange(54, dtype=np.float32).reshape(2, 9, 3) / np.float32(8192)
IMAGES = numbers("vision/images", [2, 5, 6, 3])


def selections() -> list[OpCase]:
    def combined(boxes, scores, **options):
        limits = [tf.constant(v) for v in (4, 6, 0.4, 0.2)]
        return list(op("CombinedNonMaxSuppression", boxes, scores, *limits, **options))

    def scored(boxes, scores, sigma, **options):
        limits = [tf.constant(v) for v in (5, 0.4, 0.1, sigma)]
        return list(op("NonMaxSuppressionV5", boxes, scores, *limits, **options))

    near, flat = close_boxes("vision/close", 12), numbers("vision/flat", [12], 0.0, 1.0)
    return [
        case("combined_non_max_suppression", combined, boxes_of("vision/shared", [2, 9, 1]), SCORES),
        case("combined_non_max_suppression_per_class", lambda b, s: combined(b, s, pad_per_class=True, clip_boxes=False), boxes_of("vision/own", [2, 9, 3]), SCORES),
        case("soft_non_max_suppression", lambda b, s: scored(b, s, 0.5), near, flat),
        case("soft_non_max_suppression_padded", lambda b, s: scored(b, s, 0.1, pad_to_max_output_size=True), near, flat),
        case("hard_non_max_suppression_padded", lambda b, s: scored(b, s, 0.0, pad_to_max_output_size=True), near, flat),
    ]


def crops() -> list[OpCase]:
    where = np.array([1, 0, 1], np.int32)

    def crop(images, boxes, which, size=(3, 4), **options):
        return op("CropAndResize", images, boxes, which, tf.constant(size), **options)

    def patches(images, **options):
        return op("ExtractImagePatches", images, ksizes=[1, 3, 2, 1], strides=[1, 2, 1, 1], **options)

    return [
        case("crop_and_resize", crop, IMAGES, boxes_of("vision/crops", [3]), where),
        case("crop_and_resize_nearest", lambda i, b, w: crop(i, b, w, method="nearest", extrapolation_value=-1.0), IMAGES, boxes_of("vision/crops", [3]), where),
        case("crop_and_resize_one_pixel", lambda i, b, w: crop(i, b, w, size=(1, 1)), IMAGES, boxes_of("vision/crops", [3]), where),
        case("image_patches_same", lambda i: patches(i, rates=[1, 1, 1, 1], padding="SAME"), IMAGES),
        case("image_patches_rates", lambda i: patches(i, rates=[1, 2, 3, 1], padding="VALID"), IMAGES),
    ]


def blocks() -> list[OpCase]:
    steps = numbers("vision/steps", [2, 7, 3])
    kernel = numbers("vision/kernel", [3, 3, 4])

    def causal(a):
        padded = tf.pad(a, [[0, 0], [4, 0], [0, 0]])
        return tf.nn.conv1d(padded, tf.constant(kernel), 1, "VALID", dilations=2)

    def there_and_back(a, edges):
        wide = tf.space_to_batch_nd(a, [2, 3], edges)
        return [wide, tf.raw_ops.BatchToSpaceND(input=wide, block_shape=[2, 3], crops=edges)]

    edges = np.array([[1, 0], [2, 1]], np.int32)
    return [
        case("convolution_causal_dilated", causal, [steps, steps[:1, :4]], shapes=[[None, None, 3]]),
        case("blocks_computed", there_and_back, IMAGES, edges, shapes=[[None, None, None, 3], [2, 2]]),
        case("roll_computed", lambda a, s: tf.roll(a, [s, -2], [1, 0]), [steps, steps[:1, :4]], [np.int32(3), np.int32(-9)], shapes=[[None, None, 3], []]),
        case("linspace_stacked", lambda a: tf.linspace(a[0, 0], a[0, 1], 5, axis=-1), steps),
    ]


def transposed_volumes() -> list[OpCase]:
    volume = numbers("vision/volume", [2, 2, 3, 2, 2])
    kernel = numbers("vision/volume_kernel", [3, 2, 3, 4, 2])

    def transposed(a, size, strides, padding):
        return tf.nn.conv3d_transpose(a, tf.constant(kernel), [tf.shape(a)[0], *size, 4], strides, padding)

    return [
        case("convolution_3d_transposed_same", lambda a: transposed(a, [4, 6, 4], 2, "SAME"), volume),
        case("convolution_3d_transposed_valid", lambda a: transposed(a, [5, 6, 5], 2, "VALID"), volume),
        case("convolution_3d_transposed_uneven", lambda a: transposed(a, [3, 3, 6], [2, 1, 3], "SAME"), volume),
    ]


def warps() -> list[OpCase]:
    image = numbers("warp", [2, 5, 6, 2], 0.0, 1.0)
    turns = np.array([[0.9, -0.2, 1.3, 0.25, 1.1, -0.7, 0.0, 0.0], [1.2, 0.1, -3.0, 0.0, 0.8, 4.0, 0.01, -0.02]], np.float32)

    def warped(**attributes):
        return lambda a, t: op("ImageProjectiveTransformV3", a, t, tf.constant([4, 7]), tf.constant(0.5), **attributes)

    return [
        case(f"warp_{way.lower()}_{mode.lower()}", warped(interpolation=way, fill_mode=mode), image, turns)
        for way in ("NEAREST", "BILINEAR")
        for mode in ("CONSTANT", "REFLECT", "WRAP", "NEAREST")
    ] + [
        case(
            "warp_v2_uint8",
            lambda a: op("ImageProjectiveTransformV2", a, tf.constant(turns[:1]), tf.constant([5, 6]), interpolation="BILINEAR"),
            (image * 255).astype(np.uint8),
        ),
    ]


def cases() -> list[OpCase]:
    return [*selections(), *crops(), *blocks(), *transposed_volumes(), *warps()]
