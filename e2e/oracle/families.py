"""Builders of common network families, small, with seeded weights."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

SEED = 7
CLASSES = 10
CALIBRATION = 16


def _application(name: str, size: int = 32, **options: object) -> Callable[[], keras.Model]:
    """`size` is the least that the family takes, where it takes no smaller images."""

    def build() -> keras.Model:
        constructor = getattr(keras.applications, name)
        return constructor(
            weights=None,
            input_shape=(size, size, 3),
            classes=CLASSES,
            classifier_activation=None,
            **options,
        )

    return build


def _transformer(blocks: int, width: int, heads: int) -> Callable[[], keras.Model]:
    """Encoder blocks as in BERT: embedding, attention, exact GELU, layer normalization."""

    def build() -> keras.Model:
        layers = keras.layers
        tokens = keras.Input((16,), dtype="int32")
        x = layers.Embedding(100, width)(tokens)
        x = layers.LayerNormalization(epsilon=1e-12)(x)
        for _ in range(blocks):
            attended = layers.MultiHeadAttention(heads, width // heads)(x, x)
            x = layers.LayerNormalization(epsilon=1e-12)(x + attended)
            hidden = layers.Dense(4 * width, activation=lambda y: keras.activations.gelu(y, approximate=False))(x)
            x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dense(width)(hidden))
        return keras.Model(tokens, layers.Dense(CLASSES)(x[:, 0]))

    return build


def _recurrent(layer: str) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        inputs = keras.Input((8, 6))
        x = getattr(keras.layers, layer)(16)(inputs)
        return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))

    return build


FAMILIES: dict[str, Callable[[], keras.Model]] = {
    "mobilenet": _application("MobileNet", alpha=0.5),
    "mobilenet_v2": _application("MobileNetV2", alpha=0.35),
    "mobilenet_v3_small": _application("MobileNetV3Small", alpha=0.75),
    "mobilenet_v3_large": _application("MobileNetV3Large", alpha=0.75),
    "efficientnet_b0": _application("EfficientNetB0"),
    "efficientnet_v2_b0": _application("EfficientNetV2B0"),
    "resnet50": _application("ResNet50"),
    "resnet50_v2": _application("ResNet50V2"),
    "densenet121": _application("DenseNet121"),
    "inception_v3": _application("InceptionV3", size=75),
    "xception": _application("Xception", size=71),
    "nasnet_mobile": _application("NASNetMobile"),
    "convnext_tiny": _application("ConvNeXtTiny"),
    "vgg16": _application("VGG16"),
    "transformer": _transformer(2, 32, 4),
    "bert_base_4_layers": _transformer(4, 768, 12),
    "lstm": _recurrent("LSTM"),
    "gru": _recurrent("GRU"),
}


def _settle_weights(model: keras.Model, random: np.random.Generator) -> None:
    """Scales and biases start as ones and zeros, which would hide mistakes."""
    for variable in model.weights:
        if variable.path.endswith("gamma"):
            variable.assign(random.uniform(0.8, 1.2, variable.shape))
        elif variable.path.endswith(("beta", "bias")):
            variable.assign(random.uniform(-0.1, 0.1, variable.shape))


def _settle_statistics(model: keras.Model) -> None:
    """Takes each batch normalization's statistics from a batch of inputs.

    With the initial ones the signal dies out over the layers of an untrained network, and the
    output would not depend on the input at all.
    """
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(inputs_for(model, CALIBRATION), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def build(name: str) -> keras.Model:
    """The family with weights that depend on SEED only."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    model = FAMILIES[name]()
    _settle_weights(model, np.random.default_rng(SEED))
    _settle_statistics(model)
    return model


def inputs_for(model: keras.Model, count: int) -> np.ndarray:
    """Images in 0..255 are what Keras applications with built-in rescaling expect."""
    random = np.random.default_rng(SEED)
    tensor = model.inputs[0]
    shape = (count, *tensor.shape[1:])
    if tensor.dtype == "int32":
        return random.integers(0, 100, shape, dtype=np.int32)
    top = 255.0 if len(shape) == 4 else 1.0
    return random.uniform(0, top, shape).astype(np.float32)
