"""Trains the digits classifier and writes everything in this folder that is data.

Run once, with real TensorFlow (requirements.txt); users of the project never need it:

    python examples/digits/train.py            # write saved_model, frozen, images and the JSON files
    python examples/digits/train.py --out DIR  # the same, elsewhere

The network takes float32 [N, 8, 8, 1] in 0..1. A pixel of the data set is 0..16; it is stored
in a PNG as the 8-bit grey round(pixel * 255 / 16), and the network is trained on grey / 255. So
what a client reads from the PNG is bit for bit what the network was trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import sklearn
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

SEED = 20
EPOCHS = 40
BATCH = 32
TEST_SHARE = 0.2
IMAGES = 100
LINE_WIDTH = 120


@dataclass(frozen=True)
class Split:
    """Grey levels are uint8 [n, 8, 8]; labels are int [n]."""

    train_grey: np.ndarray
    train_labels: np.ndarray
    test_grey: np.ndarray
    test_labels: np.ndarray


def grey_of_pixels(pixels: np.ndarray) -> np.ndarray:
    """0..16 to 0..255, rounded half up in integers, and checked to be reversible."""
    levels = pixels.astype(np.int64)
    grey = (levels * 255 + 8) // 16
    assert np.array_equal((grey * 16 + 127) // 255, levels)
    return grey.astype(np.uint8)


def network_input(grey: np.ndarray) -> np.ndarray:
    """uint8 [n, 8, 8] to float32 [n, 8, 8, 1] in 0..1."""
    return (grey.astype(np.float32) / np.float32(255))[..., np.newaxis]


def load_split() -> Split:
    digits = load_digits()
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        digits.images,
        digits.target,
        test_size=TEST_SHARE,
        random_state=SEED,
        stratify=digits.target,
    )
    return Split(
        grey_of_pixels(train_pixels),
        train_labels,
        grey_of_pixels(test_pixels),
        test_labels,
    )


def build_model() -> keras.Model:
    layers = keras.layers
    inputs = keras.Input((8, 8, 1), name="input")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv_1")(inputs)
    x = layers.BatchNormalization(name="norm_1")(x)
    x = layers.ReLU(name="relu_1")(x)
    x = layers.Conv2D(32, 3, padding="same", use_bias=False, name="conv_2")(x)
    x = layers.BatchNormalization(name="norm_2")(x)
    x = layers.ReLU(name="relu_2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.4, name="dropout")(x)
    x = layers.Dense(48, activation="relu", name="hidden")(x)
    outputs = layers.Dense(10, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="digits")


def train(split: Split) -> keras.Model:
    """Fixed epochs and a fixed schedule: the held-aside images choose nothing."""
    model = build_model()
    steps = EPOCHS * -(-len(split.train_grey) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(2e-3, steps)
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        network_input(split.train_grey),
        split.train_labels,
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=2,
    )
    return model


def export_saved_model(model: keras.Model, folder: Path) -> None:
    """One signature, serving_default: input -> predict. The weights stay in variables/."""
    shutil.rmtree(folder, ignore_errors=True)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        name="serving_default",
        fn=lambda image: {"predict": model(image, training=False)},
        input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32, name="input")],
    )
    archive.write_out(
        str(folder), options=tf.saved_model.SaveOptions(save_debug_info=False)
    )
    shutil.rmtree(folder / "assets", ignore_errors=True)


def export_frozen(model: keras.Model, path: Path) -> None:
    """A GraphDef whose weights are Const nodes, from node `input` to node `predict`."""

    @tf.function(
        input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32, name="input")]
    )
    def predict(image: tf.Tensor) -> tf.Tensor:
        return tf.identity(model(image, training=False), name="predict")

    frozen = convert_variables_to_constants_v2(predict.get_concrete_function())
    graph = tf.compat.v1.graph_util.extract_sub_graph(
        frozen.graph.as_graph_def(), ["predict"]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def run_saved_model(folder: Path, batch: np.ndarray) -> np.ndarray:
    """[n, 8, 8, 1] to [n, 10], as TensorFlow Serving would load and run it."""
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return signature(input=tf.constant(batch))["predict"].numpy()


def run_frozen(path: Path, batch: np.ndarray) -> np.ndarray:
    """[n, 8, 8, 1] to [n, 10] through the frozen GraphDef."""
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run("predict:0", {"input:0": batch})


def write_images(folder: Path, grey: np.ndarray) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for index, image in enumerate(grey):
        Image.fromarray(image).save(folder / f"{index:03d}.png", optimize=True)


def number_list(values: np.ndarray, indent: str = "") -> str:
    """A JSON list broken the way the project's formatter breaks it (120 columns).

    str() of a float32 is the shortest decimal that reads back to the same float32.
    """
    joined = ", ".join(str(value).replace("e-0", "e-") for value in values)
    if len(indent) + len(joined) + len("[],") <= LINE_WIDTH:
        return f"[{joined}]"
    inner = indent + "  "
    lines = textwrap.fill(
        joined, LINE_WIDTH, initial_indent=inner, subsequent_indent=inner
    )
    return f"[\n{lines}\n{indent}]"


def write_golden(path: Path, rows: np.ndarray) -> None:
    assert rows.dtype == np.float32
    lists = ",\n".join("    " + number_list(row, "    ") for row in rows)
    path.write_text(
        "{\n"
        f'  "tensorflow": "{tf.__version__}",\n'
        '  "signature": "serving_default",\n'
        '  "output": "predict",\n'
        f'  "probabilities": [\n{lists}\n  ]\n'
        "}\n"
    )


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def score(rows: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
    right = int(np.sum(np.argmax(rows, axis=1) == labels))
    return {
        "images": len(labels),
        "right": right,
        "accuracy": round(right / len(labels), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    split = load_split()
    model = train(split)
    export_saved_model(model, out / "saved_model")
    export_frozen(model, out / "frozen" / "digits.pb")

    batch = network_input(split.test_grey)
    rows = run_saved_model(out / "saved_model", batch)
    difference = float(
        np.max(np.abs(rows - run_frozen(out / "frozen" / "digits.pb", batch)))
    )
    assert difference <= 5e-6, difference

    write_images(out / "images", split.test_grey[:IMAGES])
    (out / "labels.json").write_text(number_list(split.test_labels[:IMAGES]) + "\n")
    write_golden(out / "golden.json", rows[:IMAGES])
    accuracy = {
        "heldAside": score(rows, split.test_labels),
        "images": score(rows[:IMAGES], split.test_labels[:IMAGES]),
        "trained": len(split.train_labels),
        "parameters": model.count_params(),
        "seed": SEED,
        "epochs": EPOCHS,
        "versions": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "scikitLearn": sklearn.__version__,
        },
    }
    write_json(out / "accuracy.json", accuracy)
    assert accuracy["heldAside"]["accuracy"] >= 0.98
    assert accuracy["images"]["right"] >= 97
    print(json.dumps(accuracy))
    print("largest difference between SavedModel and frozen graph:", difference)


if __name__ == "__main__":
    main()
