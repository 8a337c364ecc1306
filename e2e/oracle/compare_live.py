"""Exports network families with seeded weights and compares an engine with TensorFlow.

    python e2e/oracle/compare_live.py --command "node e2e/oracle/answer.ts {model} {request} {reply}"
    python e2e/oracle/compare_live.py --families resnet50,lstm

The weights are large, so nothing of this is committed: each family is exported to a temporary
folder (SavedModel by `model.export`, and frozen GraphDef), TensorFlow answers for batches of 1
and 3, and the command must write the same answers; for some families also each row alone must have
the bits that it has in the batch. Placeholders of the command: {model} is a
SavedModel folder or a frozen .pb file, {request} a JSON file with a list of {"inputs": {name:
tensor}}, {reply} the JSON file to write, a list of {"outputs": {name: tensor}}; a tensor is the {dtype, shape,
values} of packages/saved-model/test-models/ops/README.md. Without a command the two exports
are only compared with each other in TensorFlow.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import families
import keras
import numpy as np
import tensorflow as tf
from record_ops import run_graph, tensor_of
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

Batch = Mapping[str, np.ndarray]

BATCHES = (1, 3)
COMMAND_SECONDS = 300
# Families whose rows have to keep their bits: each kind of layer is in one of them.
ROWS_ALONE = {"mobilenet", "mobilenet_v3_small", "nasnet_mobile", "transformer", "bert_base_4_layers", "lstm", "gru"}


@dataclass(frozen=True)
class Export:
    """One model in one format, with the names a caller has to use."""

    label: str
    path: Path
    input_name: str
    output_name: str


def export_saved_model(model: keras.Model, name: str, folder: Path) -> Export:
    path = folder / name / "saved_model"
    model.export(str(path), format="tf_saved_model", verbose=False)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    (input_name,) = signature.structured_input_signature[1]
    (output_name,) = signature.structured_outputs
    return Export(f"{name} SavedModel", path, input_name, output_name)


def export_frozen(model: keras.Model, name: str, folder: Path) -> Export:
    tensor = model.inputs[0]
    spec = tf.TensorSpec(tensor.shape, tensor.dtype, "input")

    @tf.function(input_signature=[spec])
    def predict(batch):
        return tf.identity(model(batch, training=False), name="predict")

    frozen = convert_variables_to_constants_v2(
        predict.get_concrete_function(), lower_control_flow=False
    )
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(
        frozen.graph.as_graph_def(), ["predict"]
    )
    path = folder / name / "frozen.pb"
    path.write_bytes(graph_def.SerializeToString(deterministic=True))
    return Export(f"{name} frozen", path, "input", "predict")


def signature_answers(path: Path, batches: list[Batch]) -> list[dict[str, np.ndarray]]:
    """TensorFlow's answers of a SavedModel's default signature."""
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    replies = [signature(**{name: tf.constant(value) for name, value in batch.items()}) for batch in batches]
    return [{name: value.numpy() for name, value in reply.items()} for reply in replies]


def tensorflow_answer(export: Export, batch: np.ndarray) -> np.ndarray:
    if export.path.is_dir():
        (answer,) = signature_answers(export.path, [{export.input_name: batch}])
        return answer[export.output_name]
    graph_def = tf.compat.v1.GraphDef.FromString(export.path.read_bytes())
    (rows,) = run_graph(graph_def, {export.input_name: batch}, [export.output_name])
    return rows


def tensor_json(value: np.ndarray) -> dict[str, object]:
    if value.dtype.kind == "O":
        texts = [base64.b64encode(item).decode() for item in value.reshape(-1)]
        return {"dtype": "string", "shape": list(value.shape), "values": texts}
    items = [item.item() for item in value.reshape(-1)]
    values = [str(item) for item in items] if value.dtype == np.int64 else items
    return {"dtype": value.dtype.name, "shape": list(value.shape), "values": values}


def engine_answers(command: str, model: Path, batches: list[Batch], folder: Path) -> list[dict[str, np.ndarray]]:
    """What the command answers for a SavedModel folder or a frozen graph."""
    request, reply = folder / "request.json", folder / "reply.json"
    inputs = [{name: tensor_json(value) for name, value in batch.items()} for batch in batches]
    request.write_text(json.dumps([{"inputs": each} for each in inputs]))
    reply.unlink(missing_ok=True)
    values = {"model": model, "request": request, "reply": reply}
    words = [word.format(**values) for word in shlex.split(command)]
    subprocess.run(words, check=True, timeout=COMMAND_SECONDS)
    replies = json.loads(reply.read_text())
    return [{name: tensor_of(value) for name, value in each["outputs"].items()} for each in replies]


def difference(expected: np.ndarray, got: np.ndarray) -> float:
    """Largest absolute difference as a share of the largest expected magnitude."""
    if expected.shape != got.shape or not np.isfinite(got).all():
        return float("inf")
    return float(np.max(np.abs(expected - got)) / np.max(np.abs(expected)))


def require_dependence_on_input(rows: np.ndarray) -> None:
    """A network that answers the same to everything would agree with anything."""
    assert difference(rows[:1], rows[1:2]) >= 1e-2, rows


def compare(name: str, command: str | None, folder: Path) -> float:
    model = families.build(name)
    exports = [export(model, name, folder) for export in (export_saved_model, export_frozen)]
    batches = [families.inputs_for(model, count) for count in BATCHES]
    expected = [tensorflow_answer(exports[0], batch) for batch in batches]
    require_dependence_on_input(expected[-1])
    worst = 0.0
    for export in exports:
        if command:
            # The rows of the last batch once more, each by itself.
            last = batches[-1] if name in ROWS_ALONE else batches[-1][:0]
            single = [last[row : row + 1] for row in range(len(last))]
            inputs = [{export.input_name: batch} for batch in batches + single]
            replies = engine_answers(command, export.path, inputs, folder)
            answers = [reply[export.output_name] for reply in replies]
            alone, answers = answers[len(batches) :], answers[: len(batches)]
            for row, answer in enumerate(alone):
                assert np.array_equal(answer[0], answers[-1][row]), f"{export.label}: row {row} changes with its batch"
        else:
            answers = [tensorflow_answer(export, batch) for batch in batches]
        found = max(map(difference, expected, answers))
        worst = max(worst, found)
        print(f"{export.label}: relative difference {found:.2e}", flush=True)
    shutil.rmtree(folder / name)
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare network families with TensorFlow.")
    parser.add_argument("--families", default=",".join(families.FAMILIES))
    parser.add_argument("--command", help="see the head of this file")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="relative")
    options = parser.parse_args()
    names = options.families.split(",")
    unknown = [name for name in names if name not in families.FAMILIES]
    if unknown:
        parser.error(f"unknown families: {', '.join(unknown)}")

    with tempfile.TemporaryDirectory(prefix="families-") as root:
        worst = {name: compare(name, options.command, Path(root)) for name in names}
    failed = [name for name, value in worst.items() if not value <= options.tolerance]
    print(f"families: {len(worst) - len(failed)} of {len(worst)} equal", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
