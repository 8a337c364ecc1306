"""Convolutions, pooling and the normalizations that follow them."""

from __future__ import annotations

import tensorflow as tf

from .case import OpCase, case, numbers

raw = tf.raw_ops


def conv(name, size, kernel, stride=1, padding="SAME", **attributes) -> OpCase:
    """A Conv2D over [N, *size] (height, width, channels) with `kernel` (h, w, in, out)."""
    weights = numbers(name + "/weights", kernel, -1, 1)
    strides = [1, stride, stride, 1] if isinstance(stride, int) else [1, *stride, 1]

    def build(x):
        return raw.Conv2D(
            input=x, filter=tf.constant(weights), strides=strides, padding=padding, **attributes
        )

    return case(name, build, [numbers(name, [1, *size]), numbers(name + "/2", [2, *size])])


def conv_unknown_size() -> OpCase:
    weights = numbers("conv2d_unknown_size/weights", [3, 3, 2, 2], -1, 1)

    def build(x):
        return raw.Conv2D(input=x, filter=tf.constant(weights), strides=[1, 2, 2, 1], padding="SAME")

    runs = [numbers("unknown/1", [1, 4, 5, 2]), numbers("unknown/2", [1, 5, 4, 2])]
    return case("conv2d_unknown_size", build, runs, shapes=[[None, None, None, 2]])


def depthwise(name, size, kernel, stride=1, padding="SAME", **attributes) -> OpCase:
    weights = numbers(name + "/weights", kernel, -1, 1)

    def build(x):
        return raw.DepthwiseConv2dNative(
            input=x,
            filter=tf.constant(weights),
            strides=[1, stride, stride, 1],
            padding=padding,
            **attributes,
        )

    return case(name, build, numbers(name, [2, *size]))


def zeros_before_max_pool() -> OpCase:
    """Zeros around an image count in a maximum, also where a compiler would fold them into the pooling."""
    weights = numbers("zeros_before_max_pool/weights", [1, 1, 1, 2], -1, -0.5)

    def build(x):
        image = raw.Conv2D(input=x, filter=tf.constant(weights), strides=[1, 1, 1, 1], padding="VALID")
        padded = tf.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return raw.MaxPool(input=padded, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="VALID")

    return case("zeros_before_max_pool", build, numbers("zeros_before_max_pool", [1, 4, 4, 1], 0.5, 2))


def transposed(name, padding, size, output) -> OpCase:
    weights = numbers(name + "/weights", [3, 3, 2, 2], -1, 1)

    def build(x):
        return raw.Conv2DBackpropInput(
            input_sizes=tf.constant([1, *output, 2]),
            filter=tf.constant(weights),
            out_backprop=x,
            strides=[1, 2, 2, 1],
            padding=padding,
        )

    return case(name, build, numbers(name, [1, *size, 2]), shapes=[[1, *size, 2]])


def pool(name, op, size, window, stride, padding, **attributes) -> OpCase:
    def build(x):
        argument = {"input": x} if op is raw.MaxPool else {"value": x}
        return op(
            **argument,
            ksize=[1, window, window, 1],
            strides=[1, stride, stride, 1],
            padding=padding,
            **attributes,
        )

    # Negative numbers only: a padding counted as zero would show in both kinds of pooling.
    return case(name, build, numbers(name, [2, *size], -3, -0.5))


def batch_norm(name, epsilon) -> OpCase:
    def build(x):
        return raw.FusedBatchNormV3(
            x=x,
            scale=tf.constant(numbers(name + "/scale", [3], 0.5, 1.5)),
            offset=tf.constant(numbers(name + "/offset", [3])),
            mean=tf.constant(numbers(name + "/mean", [3])),
            variance=tf.constant(numbers(name + "/variance", [3], 0.1, 2)),
            epsilon=epsilon,
            is_training=False,
        ).y

    return case(name, build, numbers(name, [2, 3, 2, 3]))


def conv_block() -> OpCase:
    """The chain that converters like to fold: Conv2D, FusedBatchNormV3, BiasAdd, Relu6."""
    weights = numbers("conv_block/weights", [3, 3, 2, 4], -1, 1)

    def build(x):
        y = raw.Conv2D(input=x, filter=tf.constant(weights), strides=[1, 2, 2, 1], padding="SAME")
        y = raw.FusedBatchNormV3(
            x=y,
            scale=tf.constant(numbers("conv_block/scale", [4], 0.5, 1.5)),
            offset=tf.constant(numbers("conv_block/offset", [4])),
            mean=tf.constant(numbers("conv_block/mean", [4])),
            variance=tf.constant(numbers("conv_block/variance", [4], 0.1, 2)),
            epsilon=1e-3,
            is_training=False,
        ).y
        y = raw.BiasAdd(value=y, bias=tf.constant(numbers("conv_block/bias", [4])))
        return raw.Relu6(features=y)

    return case("conv_block", build, numbers("conv_block", [2, 6, 6, 2]))


def conv1d() -> OpCase:
    weights = tf.constant(numbers("conv1d/weights", [3, 2, 3], -1, 1).tolist())
    kernel = weights.numpy()
    return case(
        "conv1d_same_stride2",
        lambda x: tf.nn.conv1d(x, tf.constant(kernel), stride=2, padding="SAME"),
        numbers("conv1d", [2, 7, 2]),
    )


def conv3d() -> OpCase:
    weights = numbers("conv3d/weights", [2, 2, 2, 1, 2], -1, 1)
    return case(
        "conv3d_same",
        lambda x: raw.Conv3D(
            input=x, filter=tf.constant(weights), strides=[1, 1, 1, 1, 1], padding="SAME"
        ),
        numbers("conv3d", [1, 3, 3, 3, 1]),
    )


def cases() -> list[OpCase]:
    explicit = {"padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 2, 0, 1, 0, 0]}
    return [
        conv("conv2d_same", [4, 5, 2], [3, 3, 2, 3]),
        conv("conv2d_valid", [4, 5, 2], [3, 3, 2, 3], padding="VALID"),
        conv("conv2d_same_stride2_even", [6, 6, 1], [3, 3, 1, 2], 2),
        conv("conv2d_same_stride2_odd", [5, 7, 1], [3, 3, 1, 2], 2),
        conv("conv2d_valid_stride2", [7, 6, 1], [3, 3, 1, 2], 2, "VALID"),
        conv("conv2d_explicit", [4, 4, 2], [3, 3, 2, 2], **explicit),
        conv("conv2d_explicit_stride2", [7, 7, 1], [3, 3, 1, 2], 2, **explicit),
        conv("conv2d_pointwise_stride2", [5, 5, 2], [1, 1, 2, 3], 2),
        conv("conv2d_same_even_kernel", [4, 5, 1], [2, 4, 1, 2]),
        conv("conv2d_same_stride3_kernel2", [7, 8, 1], [2, 2, 1, 1], 3),
        conv("conv2d_kernel_larger_than_image", [2, 2, 1], [5, 5, 1, 1]),
        conv("conv2d_dilated_same", [6, 6, 1], [3, 3, 1, 2], dilations=[1, 2, 2, 1]),
        conv("conv2d_dilated_valid", [7, 6, 1], [3, 3, 1, 2], padding="VALID", dilations=[1, 2, 1, 1]),
        conv("conv2d_strides_differ", [6, 6, 1], [3, 3, 1, 2], (1, 2)),
        conv("conv2d_grouped", [4, 4, 4], [3, 3, 2, 4]),
        conv_unknown_size(),
        conv1d(),
        conv3d(),
        conv_block(),
        depthwise("depthwise_same", [4, 5, 3], [3, 3, 3, 1]),
        depthwise("depthwise_valid", [4, 5, 2], [3, 3, 2, 1], padding="VALID"),
        depthwise("depthwise_same_stride2", [6, 6, 2], [3, 3, 2, 1], 2),
        depthwise("depthwise_multiplier2", [4, 4, 2], [3, 3, 2, 2]),
        depthwise("depthwise_explicit", [4, 4, 2], [3, 3, 2, 1], **explicit),
        transposed("conv2d_transposed_same", "SAME", [3, 3], [6, 6]),
        transposed("conv2d_transposed_same_odd", "SAME", [3, 3], [5, 5]),
        transposed("conv2d_transposed_valid", "VALID", [2, 3], [5, 7]),
        pool("maxpool_valid", raw.MaxPool, [5, 4, 2], 2, 2, "VALID"),
        pool("maxpool_same", raw.MaxPool, [5, 4, 2], 3, 2, "SAME"),
        pool("maxpool_same_stride1", raw.MaxPool, [3, 4, 1], 2, 1, "SAME"),
        pool(
            "maxpool_explicit",
            raw.MaxPool,
            [4, 4, 1],
            3,
            2,
            "EXPLICIT",
            explicit_paddings=[0, 0, 1, 0, 1, 1, 0, 0],
        ),
        zeros_before_max_pool(),
        pool("avgpool_valid", raw.AvgPool, [5, 4, 2], 2, 2, "VALID"),
        pool("avgpool_same", raw.AvgPool, [5, 4, 2], 3, 2, "SAME"),
        pool("avgpool_same_stride1", raw.AvgPool, [3, 4, 1], 2, 1, "SAME"),
        batch_norm("fused_batch_norm", 1e-3),
        batch_norm("fused_batch_norm_small_epsilon", 1e-5),
        case(
            "bias_add",
            lambda x: raw.BiasAdd(value=x, bias=tf.constant([0.5, -1.0, 2.0])),
            numbers("bias_add", [2, 2, 2, 3]),
        ),
        case(
            "lrn",
            lambda x: raw.LRN(input=x, depth_radius=2, bias=1.0, alpha=0.5, beta=0.75),
            numbers("lrn", [1, 2, 2, 6]),
        ),
    ]
