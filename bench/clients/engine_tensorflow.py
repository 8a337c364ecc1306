"""Real TensorFlow for the engine benchmark.

    engine_tensorflow.py export DIR            # models with seeded weights: DIR/NAME/{frozen.pb,saved_model}
    engine_tensorflow.py run PATH THREADS      # answers lines of JSON: {"batch": n, "count": k}
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import numpy as np
import tensorflow as tf

SEQUENCE, WIDTH, LAYERS, HEADS, WORDS = 128, 768, 4, 12, 30522


def bert():
    """Four of BERT-base's twelve encoder layers."""
    import keras

    layers = keras.layers
    tokens = keras.Input((SEQUENCE,), dtype="int32")
    x = layers.LayerNormalization(epsilon=1e-12)(layers.Embedding(WORDS, WIDTH)(tokens))
    for _ in range(LAYERS):
        attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)
        x = layers.LayerNormalization(epsilon=1e-12)(x + attended)
        hidden = layers.Dense(4 * WIDTH, activation=lambda y: keras.activations.gelu(y, approximate=False))(x)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dense(WIDTH)(hidden))
    return keras.Model(tokens, layers.Dense(2)(x[:, 0]))


def with_variables(frozen: Path, folder: Path) -> None:
    """The frozen graph with its weights as variables again."""
    graph = tf.compat.v1.GraphDef.FromString(frozen.read_bytes())
    module = tf.Module()
    module.weights = {}
    for node in graph.node:
        if node.op == "Const" and len(node.attr["value"].tensor.tensor_content) > 4000:
            value = tf.make_ndarray(node.attr["value"].tensor)
            if value.dtype == np.float32:
                module.weights[node.name] = tf.Variable(value)
                # In its place, so that the constants are not saved beside the variables.
                node.op = "Placeholder"
                del node.attr["value"]

    @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32, "input")])
    def predict(batch):
        reads = {f"{name}:0": variable.read_value() for name, variable in module.weights.items()}
        (out,) = tf.graph_util.import_graph_def(graph, {"input:0": batch, **reads}, ["predict:0"])
        return {"predict": out}

    module.predict = predict
    tf.saved_model.save(module, str(folder), signatures={"serving_default": predict})


def export(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e" / "oracle"))
    import keras
    from compare_live import export_frozen, export_saved_model

    keras.utils.set_random_seed(7)
    for name, model in (("bert", bert()), ("mobilenet_v2", keras.applications.MobileNetV2(weights=None))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        export_saved_model(model, name, folder)
        export_frozen(model, name, folder)
    with_variables(folder / "resnet50" / "frozen.pb", folder / "resnet50" / "saved_model")


def load(path: Path, threads: int):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if path.is_dir():
        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        ((name, spec),) = signature.structured_input_signature[1].items()
        return spec.shape, spec.dtype, lambda batch: next(iter(signature(**{name: tf.constant(batch)}).values())).numpy()
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    del graph_def
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    session = tf.compat.v1.Session(graph=graph, config=config)
    source = graph.get_tensor_by_name("input:0")
    call = session.make_callable(graph.get_tensor_by_name("predict:0"), [source])
    return source.shape, source.dtype, call


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def batch_of(shape, dtype, count: int) -> np.ndarray:
    random = np.random.default_rng(7)
    sizes = (count, *shape[1:])
    return random.integers(0, 1000, sizes, np.int32) if dtype == tf.int32 else random.uniform(0, 1, sizes).astype(np.float32)


def run(path: Path, threads: int) -> None:
    start = time.perf_counter()
    shape, dtype, call = load(path, threads)
    loaded = time.perf_counter()
    call(batch_of(shape, dtype, 1))
    times = {"loadMs": (loaded - start) * 1000, "firstAnswerMs": (time.perf_counter() - loaded) * 1000}
    print(json.dumps(times), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        batch = batch_of(shape, dtype, request["batch"])
        call(batch)
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(request["count"]):
            out = call(batch)
        done = {
            "ms": (time.perf_counter() - start) * 1000 / request["count"],
            "cpuMs": (time.process_time() - cpu) * 1000 / request["count"],
            "residentMiB": resident_mib(),
            "first": np.asarray(out).reshape(-1)[:8].tolist(),
        }
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(Path(sys.argv[2]))
    else:
        run(Path(sys.argv[2]), int(sys.argv[3]))
