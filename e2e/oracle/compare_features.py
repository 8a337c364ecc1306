"""Exports Keras 2 models that take features and text, and compares an engine with TensorFlow.

    python e2e/oracle/compare_features.py --command "node e2e/oracle/answer.ts {model} {request} {reply}"

Wide and deep models with feature columns (buckets, vocabularies, hashes, crosses, embeddings), fed by
named features and by serialized tf.Examples, and a text model with recurrent layers. The command is
that of compare_live.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["TF_USE_LEGACY_KERAS"] = "1"
warnings.simplefilter("ignore")

import numpy as np
import tensorflow as tf
import tf_keras as keras
from compare_live import difference, engine_answers, signature_answers

SEED = 7
Batch = Mapping[str, np.ndarray]

PEOPLE = {
    "age": [[25.0], [61.5], [10.0], [30.0]],
    "hours": [[4.0, 0.5], [8.0, 8.0], [0.0, 1.0], [-2.0, 3.0]],
    "job": [[b"dev"], [b"poet"], [b"qa"], [b""]],
    "town": [[b"rome"], [b"oslo"], [b""], [b"rome"]],
    "level": [[1], [4], [9], [0]],
}
WIDTHS = {"hours": 2}


def columns() -> list:
    """One column of each kind that a wide or a deep part is made of."""
    fc = tf.feature_column
    age = fc.numeric_column("age")
    ages = fc.bucketized_column(age, [18, 30, 50])
    jobs = fc.categorical_column_with_vocabulary_list("job", ["dev", "ops", "qa"], num_oov_buckets=2)
    towns = fc.categorical_column_with_hash_bucket("town", 16)
    levels = fc.categorical_column_with_identity("level", 5, default_value=0)
    crossed = fc.crossed_column([ages, "job", "town"], 50)
    wide = [ages, fc.indicator_column(jobs), fc.indicator_column(crossed), fc.indicator_column(levels)]
    deep = [
        age,
        fc.numeric_column("hours", shape=(2,), normalizer_fn=lambda x: (x - 1.0) / 4.0),
        fc.embedding_column(towns, 4),
        fc.embedding_column(crossed, 3, combiner="sqrtn"),
    ]
    return [wide, deep]


def batch_of(rows: slice) -> Batch:
    kinds = {"age": np.float32, "hours": np.float32, "level": np.int64}
    return {name: np.array(values[rows], kinds.get(name, object)) for name, values in PEOPLE.items()}


def network() -> keras.Model:
    kinds = {"age": "float32", "hours": "float32", "level": "int64"}
    inputs = {name: keras.Input((WIDTHS.get(name, 1),), name=name, dtype=kinds.get(name, "string")) for name in PEOPLE}
    wide, deep = columns()
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.DenseFeatures(deep)(inputs))
    both = keras.layers.Concatenate()([keras.layers.DenseFeatures(wide)(inputs), hidden])
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", bias_initializer="uniform")(both))


def wide_and_deep(path: str) -> list[Batch]:
    network().save(path, save_format="tf")
    return [batch_of(slice(0, 3)), batch_of(slice(3, 4))]


def wide_and_deep_examples(path: str) -> list[Batch]:
    model = network()
    wide, deep = columns()
    spec = tf.feature_column.make_parse_example_spec([*wide, *deep])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def predict(examples):
        features = tf.io.parse_example(examples, spec)
        dense = {name: each if isinstance(each, tf.Tensor) else tf.sparse.to_dense(each) for name, each in features.items()}
        for name, shape in WIDTHS.items():
            dense[name] = tf.reshape(dense[name], [-1, shape])
        return {"scores": model(dense)}

    tf.saved_model.save(model, path, signatures=predict)

    def feature(values):
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    examples = [
        tf.train.Example(features=tf.train.Features(feature={name: feature(values[row]) for name, values in PEOPLE.items()}))
        for row in range(4)
    ]
    return [{"examples": np.array([each.SerializeToString() for each in examples], object)}]


def text(path: str) -> list[Batch]:
    words = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=6)
    words.adapt(np.array(["the cat sat on the mat", "a dog! barked, loudly"]))
    lines = keras.Input((1,), dtype="string", name="lines")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(words(lines))
    x = keras.layers.Bidirectional(keras.layers.GRU(5, return_sequences=True))(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(4))(x)
    keras.Model(lines, keras.layers.Dense(2)(x)).save(path, save_format="tf")
    return [{"lines": np.array([[b"The cat barked"], [b"dog!! unknown mat"], [b""]], object)}]


def tower(path: str) -> list[Batch]:
    """The layers of Keras 2 that a picture goes through."""
    layers = keras.layers
    images = keras.Input((12, 12, 3), name="images")
    x = layers.Rescaling(1 / 127.5, -1)(images)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    x = layers.LayerNormalization()(layers.MaxPooling2D(2)(x))
    keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))).save(path, save_format="tf")
    random = np.random.default_rng(SEED)
    return [{"images": random.uniform(0, 255, (count, 12, 12, 3)).astype(np.float32)} for count in (1, 3)]


MODELS: dict[str, Callable[[str], list[Batch]]] = {
    "wide_and_deep": wide_and_deep,
    "wide_and_deep_examples": wide_and_deep_examples,
    "keras2_text": text,
    "keras2_tower": tower,
}


def compare(name: str, command: str, folder: Path) -> float:
    keras.utils.set_random_seed(SEED)
    path = folder / name
    batches = MODELS[name](str(path))
    expected = signature_answers(path, batches)
    answers = engine_answers(command, path, batches, folder)
    return max(difference(each[key], got[key]) for each, got in zip(expected, answers, strict=True) for key in each)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare Keras 2 models over features and text with TensorFlow.")
    parser.add_argument("--command", required=True, help="see the head of compare_live.py")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="relative")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="features-") as root:
        worst = {}
        for name in MODELS:
            worst[name] = compare(name, options.command, Path(root))
            print(f"{name}: relative difference {worst[name]:.2e}", flush=True)
    failed = [name for name, value in worst.items() if not value <= options.tolerance]
    print(f"features: {len(worst) - len(failed)} of {len(worst)} equal", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
