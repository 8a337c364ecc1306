"""Records what real TensorFlow answers for small graphs, one file pair for each case.

    python e2e/oracle/record_ops.py            # write packages/saved-model/test-models/ops
    python e2e/oracle/record_ops.py --check    # run the committed graphs again and compare

Each case gives NAME.pb, a GraphDef, and NAME.json, inputs and outputs; the folder's README
describes the format.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf
from op_cases import (
    audio,
    convolution,
    decoders,
    decomposition,
    dtypes,
    edges,
    elementwise,
    features,
    functions,
    host,
    linear,
    messages,
    more,
    quantized,
    rearranging,
    shaping,
    vision,
    windows,
)
from op_cases.case import OpCase

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = ROOT / "packages" / "saved-model" / "test-models" / "ops"
LINE_WIDTH = 120
TOLERANCE = 1e-5


def all_cases() -> list[OpCase]:
    modules = (convolution, elementwise, linear, shaping, functions, host, more, rearranging, features, vision, audio, edges, quantized, messages, windows, dtypes, decomposition, decoders)
    found = [case for module in modules for case in module.cases()]
    names = [case.name for case in found]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    return sorted(found, key=lambda case: case.name)


def graph_of(case: OpCase) -> tf.compat.v1.GraphDef:
    """Traces the case. Inputs are placeholders by name, outputs output_0, output_1, ..."""

    def traced(*tensors):
        results = case.build(*tensors)
        results = results if isinstance(results, (list, tuple)) else [results]
        return [tf.identity(r, name=f"output_{i}") for i, r in enumerate(results)]

    signature = [tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in case.specs.items()]
    function = tf.function(traced, input_signature=signature, autograph=False)
    concrete = function.get_concrete_function()
    assert not concrete.captured_inputs, case.name
    outputs = [f"output_{i}" for i in range(len(concrete.outputs))]
    graph = concrete.graph.as_graph_def()
    return tf.compat.v1.graph_util.extract_sub_graph(graph, outputs)


def run_graph(graph_def, feeds: Mapping[str, np.ndarray], outputs: Iterable[str]) -> list[np.ndarray]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            found = session.run(
                [f"{name}:0" for name in outputs],
                {f"{name}:0": value for name, value in feeds.items()},
            )
            return [np.array(value, object) if isinstance(value, bytes) else value for value in found]


def output_names(graph_def) -> list[str]:
    names = [node.name for node in graph_def.node if node.name.startswith("output_")]
    return sorted(names, key=lambda name: int(name.removeprefix("output_")))


def operations(graph_def) -> list[str]:
    """Types of all nodes, in functions as well; constants and placeholders say nothing."""
    found = {node.op for node in graph_def.node}
    for function in graph_def.library.function:
        found |= {node.op for node in function.node_def}
    return sorted(found - {"Const", "Placeholder", "Identity", "NoOp"})


def json_number(value) -> str:
    if isinstance(value, bytes):
        return json.dumps(base64.b64encode(value).decode())
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (np.int64, np.uint64)):
        return f'"{value}"'
    if isinstance(value, np.integer):
        return str(value)
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    return str(value).replace("e-0", "e-").replace("e+", "e")


def json_list(items: list[str], indent: str) -> str:
    joined = ", ".join(items)
    if len(indent) + len(joined) + 16 <= LINE_WIDTH:
        return f"[{joined}]"
    inner = indent + "  "
    wrapper = textwrap.TextWrapper(
        LINE_WIDTH,
        initial_indent=inner,
        subsequent_indent=inner,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = wrapper.fill(joined)
    return f"[\n{lines}\n{indent}]"


def json_tensor(name: str, value: np.ndarray) -> str:
    value = np.asarray(value)
    dtype = json.dumps("string" if value.dtype.kind == "O" else value.dtype.name)
    items = [json_number(item) for item in value.reshape(-1)]
    return (
        f'        "{name}": {{\n'
        f'          "dtype": {dtype},\n'
        f'          "shape": {json.dumps(list(value.shape))},\n'
        f'          "values": {json_list(items, " " * 10)}\n'
        "        }"
    )


def json_tensors(key: str, tensors: Mapping[str, np.ndarray]) -> str:
    body = ",\n".join(json_tensor(name, value) for name, value in tensors.items())
    return f'      "{key}": {{\n{body}\n      }}'


def json_spec(name: str, shape, dtype: tf.DType) -> str:
    sizes = None if shape is None else [-1 if size is None else size for size in shape]
    return f'    "{name}": {{ "dtype": "{dtype.name}", "shape": {json.dumps(sizes)} }}'


def record(case: OpCase, folder: Path) -> None:
    graph_def = graph_of(case)
    names = output_names(graph_def)
    runs = []
    for feeds in case.runs:
        results = dict(zip(names, run_graph(graph_def, feeds, names), strict=True))
        runs.append(f'    {{\n{json_tensors("inputs", feeds)},\n{json_tensors("outputs", results)}\n    }}')
    specs = ",\n".join(json_spec(name, *spec) for name, spec in case.specs.items())
    (folder / f"{case.name}.pb").write_bytes(graph_def.SerializeToString(deterministic=True))
    (folder / f"{case.name}.json").write_text(
        "{\n"
        f'  "tensorflow": "{tf.__version__}",\n'
        f'  "operations": {json_list([json.dumps(o) for o in operations(graph_def)], "  ")},\n'
        f'  "inputs": {{\n{specs}\n  }},\n'
        f'  "runs": [\n' + ",\n".join(runs) + "\n  ]\n}\n"
    )


def tensor_of(recorded: Mapping) -> np.ndarray:
    if recorded["dtype"] == "string":
        texts = [base64.b64decode(text) for text in recorded["values"]]
        return np.array(texts, object).reshape(recorded["shape"])
    dtype = np.dtype(recorded["dtype"])
    values = [int(v) if dtype.kind in "iu" else v for v in recorded["values"]]
    return np.array(values, dtype).reshape(recorded["shape"])


def equal(expected: np.ndarray, got: np.ndarray) -> bool:
    if expected.dtype != got.dtype or expected.shape != got.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(expected, got))
    return bool(np.allclose(expected, got, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def check(path: Path) -> bool:
    """Whether TensorFlow gives the recorded outputs for the recorded graph and inputs."""
    recorded = json.loads(path.read_text())
    graph_def = tf.compat.v1.GraphDef.FromString(path.with_suffix(".pb").read_bytes())
    for run in recorded["runs"]:
        feeds = {name: tensor_of(value) for name, value in run["inputs"].items()}
        results = run_graph(graph_def, feeds, run["outputs"])
        expected = [tensor_of(value) for value in run["outputs"].values()]
        if not all(map(equal, expected, results)):
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Record or check the operation cases.")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", help="record these cases and leave the others, comma-separated")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if arguments.check:
        paths = sorted(folder.glob("*.json"))
        different = [path.stem for path in paths if not check(path)]
        print(f"op cases: {len(paths) - len(different)} of {len(paths)} equal", *different)
        return 1 if different or not paths else 0
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.only:
        chosen = [each for each in all_cases() if each.name in arguments.only.split(",")]
        for each in chosen:
            record(each, folder)
        print(f"op cases: {len(chosen)} recorded")
        return 0
    for stale in (path for path in folder.iterdir() if path.suffix in (".pb", ".json")):
        stale.unlink()
    cases = all_cases()
    for case in cases:
        record(case, folder)
    total = sum(path.stat().st_size for path in folder.iterdir())
    print(f"op cases: {len(cases)} recorded, {total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
