"""Computes the digits goldens again with real TensorFlow and compares.

    python e2e/oracle/check_digits.py [--folder examples/digits]

From the PNG files, through the SavedModel and through the frozen graph. Exit code 1 on any
difference above 1e-5 or fewer than 97 right answers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf
from digits import (
    DIGITS,
    LEAST_RIGHT,
    TOLERANCE,
    largest_difference,
    read_golden,
    read_images,
    read_labels,
)


def run_saved_model(folder: Path, signature: str, output: str, batch: np.ndarray) -> np.ndarray:
    loaded = tf.saved_model.load(str(folder))
    return loaded.signatures[signature](input=tf.constant(batch))[output].numpy()


def run_frozen(path: Path, output: str, batch: np.ndarray) -> np.ndarray:
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(f"{output}:0", {"input:0": batch})


def main() -> int:
    parser = argparse.ArgumentParser(description="Compute the digits goldens again.")
    parser.add_argument("--folder", type=Path, default=DIGITS)
    folder: Path = parser.parse_args().folder

    golden = read_golden(folder / "golden.json")
    labels = read_labels(folder / "labels.json")
    batch = read_images(folder / "images")
    saved = run_saved_model(folder / "saved_model", golden.signature, golden.output, batch)
    frozen = run_frozen(folder / "frozen" / "digits.pb", golden.output, batch)

    differences = {
        "SavedModel": largest_difference(golden.rows, saved),
        "frozen graph": largest_difference(golden.rows, frozen),
    }
    right = int(np.sum(np.argmax(saved, axis=1) == labels))
    shown = ", ".join(f"{name} {value:.2e}" for name, value in differences.items())
    print(f"digits: {right} of {len(labels)} right; largest difference to golden.json: {shown}")
    passed = max(differences.values()) <= TOLERANCE and right >= LEAST_RIGHT
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
