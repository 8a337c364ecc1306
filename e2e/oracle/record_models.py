"""Records small SavedModels whose work is not only arithmetic, and what TensorFlow answers for them.

    python e2e/oracle/record_models.py [NAME...]     # writes packages/saved-model/test-models/recorded

Each model is a folder with saved_model.pb and golden.json: {"signature", "inputs", "outputs"} with
tensors as in test-models/ops (README there).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import families
import keras
import numpy as np
import tensorflow as tf
from op_cases.host import example
from record_ops import json_tensors

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "saved-model" / "test-models" / "recorded"
v1 = tf.compat.v1


def words(*items: str) -> np.ndarray:
    return np.array([item.encode() for item in items], object)


def golden(path: Path, inputs: dict[str, np.ndarray]) -> None:
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    outputs = {name: value.numpy() for name, value in signature(**{k: tf.constant(v) for k, v in inputs.items()}).items()}
    body = f'{json_tensors("inputs", inputs)},\n{json_tensors("outputs", outputs)}'
    (path / "golden.json").write_text(f'{{\n  "signature": "serving_default",\n{body}\n}}\n')
    for extra in ("fingerprint.pb", "keras_metadata.pb"):
        (path / extra).unlink(missing_ok=True)


def complex_variables(path: Path, _: Path) -> dict[str, np.ndarray]:
    """TF2: variables of complex numbers, and one of a quantised dtype that no signature reaches."""
    module = tf.Module()
    module.rotation = tf.Variable(np.array([1 + 1j, 0.5 - 2j, -1j], np.complex64))
    module.scale = tf.Variable(np.array([[2 - 1j]], np.complex128))
    module.unused = tf.Variable(tf.cast(np.array([1, 2], np.int8), tf.qint8))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def serve(x):
        turned = tf.complex(x, 1 - x) * module.rotation
        return {"real": tf.math.real(turned), "size": tf.abs(turned), "scaled": tf.math.imag(tf.cast(turned, tf.complex128) * module.scale)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return {"x": np.array([[0.5, 2, -1], [0, 1, 3]], np.float32)}


def generators(path: Path, _: Path) -> dict[str, np.ndarray]:
    """TF2: random numbers of generators whose state is a variable, in layers' way and in the older ops' way."""
    module = tf.Module()
    module.generator = tf.random.Generator.from_seed(7)
    module.older = tf.Variable(np.array([5, 0, 1234567], np.int64))

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "rows")])
    def serve(rows):
        first = module.generator.uniform([rows, 3])
        seeds = module.generator.make_seeds(2)
        raw = tf.raw_ops.StatefulUniform(resource=module.older.handle, algorithm=tf.constant(1, tf.int64), shape=tf.stack([rows, 2]), dtype=tf.float32)
        with tf.control_dependencies([raw]):
            whole = tf.raw_ops.StatefulUniformInt(resource=module.older.handle, algorithm=tf.constant(1, tf.int64), shape=[5], minval=tf.constant(-3, tf.int64), maxval=tf.constant(9, tf.int64))
        with tf.control_dependencies([whole]):
            normal = tf.raw_ops.StatefulStandardNormalV2(resource=module.older.handle, algorithm=tf.constant(1, tf.int64), shape=[4], dtype=tf.float32)
        with tf.control_dependencies([normal]):
            state = module.older.read_value()
        return {"first": first, "second": module.generator.normal([2, 2]), "seeds": seeds, "raw": raw, "whole": whole, "normal": normal, "state": state}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return {"rows": np.array(2, np.int32)}


def tables_of_tensors(path: Path, _: Path) -> dict[str, np.ndarray]:
    """TF2: mutable tables with a vector for each key, one of them with entries of the checkpoint."""
    module = tf.Module()
    module.rows = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, [0.0, -1.0])
    module.rows.insert(tf.constant(["a", "b"]), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    module.dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, default_value=-1, empty_key=-1, deleted_key=-2, initial_num_buckets=32)
    module.dense.insert(tf.constant([5, 6], tf.int64), tf.constant([50, 60], tf.int64))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "keys"), tf.TensorSpec([None], tf.int64, "ids")])
    def serve(keys, ids):
        before = module.rows.lookup(keys)
        with tf.control_dependencies([before, module.rows.insert(keys[:1], [[7.0, 8.0]])]):
            after = module.rows.lookup(tf.reshape(keys, [-1, 1]))
        with tf.control_dependencies([module.dense.remove(ids[:1])]):
            found = module.dense.lookup(ids)
        return {"before": before, "after": after, "found": found, "size": module.rows.size()}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return {"keys": words("b", "x", "a"), "ids": np.array([5, 6, 7], np.int64)}


def lookup_from_file(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """TF2: a table from an asset, an embedding, and the label of the best class."""
    module = tf.Module()
    source = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    module.table = tf.lookup.StaticHashTable(source, -1)
    module.labels = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), ["low", "high"]), "?")
    module.embedding = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3) / 10)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def serve(text):
        ids = module.table.lookup(tf.strings.lower(text))
        rows = tf.gather(module.embedding, tf.maximum(ids, 0))
        best = tf.argmax(tf.stack([tf.reduce_sum(rows, 1), tf.ones_like(rows[:, 0])], 1), 1)
        return {"ids": ids, "rows": rows, "label": module.labels.lookup(1 - best)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return {"words": words("Green", "red", "nothing", "blue")}


def numbers_from_file(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """TF2: tables whose keys or values are numbers in a text file; one is exported. TF1's Merge, both outputs."""
    module = tf.Module()
    index, load = tf.lookup.TextFileIndex, tf.lookup.TextFileInitializer
    codes, prices = vocabulary.with_name("codes.txt"), vocabulary.with_name("prices.csv")
    codes.write_text("10\n20\n35\n")
    prices.write_text("red,1.5\nblue,-2\n")
    module.codes = tf.lookup.StaticHashTable(load(str(codes), tf.int64, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER), -1)
    module.prices = tf.lookup.StaticHashTable(load(str(prices), tf.string, 0, tf.float32, 1, delimiter=","), 0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def serve(text):
        numbers = tf.strings.to_number(text[1:], tf.int64)
        keys, values = tf.raw_ops.LookupTableExportV2(table_handle=module.codes.resource_handle, Tkeys=tf.int64, Tvalues=tf.int64)
        return {"codes": module.codes.lookup(numbers), "prices": module.prices.lookup(text), "exported": tf.reduce_sum(keys * (values + 1))}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return {"words": words("blue", "35", "10", "11")}


def v1_merge(path: Path, _: Path) -> dict[str, np.ndarray]:
    """TF1: Switch and Merge by hand, with the output that says which operand arrived."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        low, high = tf.raw_ops.Switch(data=x, pred=tf.reduce_sum(x) > 0)
        first, which = tf.raw_ops.Merge(inputs=[low * 2, high * 3])
        second, other = tf.raw_ops.Merge(inputs=[high + 1, low - 1])
        outputs = {"first": first, "which": which, "second": second, "other": other}
        v1.saved_model.simple_save(session, str(path), {"x": x}, outputs)
    return {"x": np.array([[1.5, -0.5], [2.0, 1.0]], np.float32)}


def v1_tables(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """TF1: ParseExample, a table from an asset with a legacy init op, a reference variable, feature buckets."""
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], "examples")
        spec = {"color": tf.io.VarLenFeature(tf.string), "size": tf.io.FixedLenFeature([1], tf.float32, 0.5)}
        parsed = tf.io.parse_example(serialized, spec)
        table = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), 2)
        ids = table.lookup(parsed["color"])
        weights = v1.get_variable("weights", initializer=np.linspace(-1, 1, 18).astype(np.float32).reshape(6, 3), use_resource=False)
        deep = v1.nn.safe_embedding_lookup_sparse([weights], ids, combiner="mean")
        wide = tf.one_hot(tf.raw_ops.Bucketize(input=parsed["size"], boundaries=[0.0, 1.0]), 3)[:, 0, :]
        scores = tf.nn.softmax(deep + wide)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(session, str(path), {"examples": serialized}, {"scores": scores}, legacy_init_op=v1.tables_initializer())
    return {"examples": np.array([example(color=[b"red"], size=[0.25]), example(size=[3.0]), example(color=[b"blue", b"pink"]), example(color=[b"violet"], size=[-1.0])], object)}


def v1_loop(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """TF1 control flow: a loop of Switch and Merge, and a condition."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        _, y = tf.while_loop(lambda i, _: i < 5, lambda i, v: (i + 1, v * 1.5 + x), (tf.constant(0), x))
        z = tf.cond(tf.reduce_sum(y) > 0, lambda: y * 2.0, lambda: -y)
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y, "z": z})
    v1.enable_control_flow_v2()
    return {"x": np.array([[1, -2], [0.5, 3]], np.float32)}


def v1_nested(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """TF1 control flow in itself: loops in loops, conditions in loops and in conditions."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        count = v1.placeholder(tf.int32, [], "count")

        def outer(i, total):
            _, total = tf.while_loop(lambda j, _: j < i + 1, lambda j, t: (j + 1, t + x * tf.cast(i * j + 1, tf.float32)), (tf.constant(0), total))
            inner = lambda: total * 2.0 + tf.cond(i > 2, lambda: x, lambda: -x)
            return i + 1, tf.cond(tf.equal(i % 2, 0), inner, lambda: total - 1.0)

        _, y = tf.while_loop(lambda i, _: i < count, outer, (tf.constant(0), x))
        v1.saved_model.simple_save(session, str(path), {"x": x, "count": count}, {"y": y})
    v1.enable_control_flow_v2()
    return {"x": np.array([1, -2, 0.5], np.float32), "count": np.int32(4)}


def v1_arrays(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """TF1 tensor arrays: scan, map over strings, and one that grows."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        text = v1.placeholder(tf.string, [None], "text")
        sums = tf.scan(lambda total, row: total + row, x)
        marked = tf.map_fn(lambda each: tf.strings.join([each, "!"]), text)
        lengths = tf.map_fn(tf.strings.length, text, dtype=tf.int32)
        grown = tf.TensorArray(tf.int32, size=0, dynamic_size=True)
        _, grown = tf.while_loop(lambda i, _: i < tf.shape(x)[0], lambda i, array: (i + 1, array.write(i, i * i)), (0, grown))
        v1.saved_model.simple_save(session, str(path), {"x": x, "text": text}, {"sums": sums, "marked": marked, "lengths": lengths, "squares": grown.stack()})
    v1.enable_control_flow_v2()
    return {"x": np.array([[1, 2], [3, 4], [-1, 0.5]], np.float32), "text": words("a", "bcd")}


def changing_state(path: Path, vocabulary: Path) -> dict[str, np.ndarray]:
    """Variables that loops and branches change, and a table that the checkpoint restores."""
    module = tf.Module()
    module.count = tf.Variable(0, dtype=tf.int64)
    module.total = tf.Variable(tf.zeros([3]))
    module.grid = tf.Variable(np.zeros((4, 2), np.float32))
    module.known = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -5)
    module.known.insert(["red"], [4])

    @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x"), tf.TensorSpec([None], tf.string, "text")])
    def serve(x, text):
        for i in tf.range(3):
            module.total.assign_add(x * tf.cast(i, tf.float32))
        if tf.reduce_sum(x) > 0:
            module.count.assign_add(2)
        else:
            module.count.assign_sub(1)
        module.grid.scatter_nd_add([[1], [2]], tf.ones([2, 2]))
        values = [module.count, module.total, module.grid]
        return dict(zip(("count", "total", "grid"), [value.read_value() for value in values])) | {"found": module.known.lookup(text)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return {"x": np.array([1, -2, 0.5], np.float32), "text": words("red", "blue")}


def keras_export(model: keras.Model, inputs: dict[str, np.ndarray]):
    def build(path: Path, _: Path) -> dict[str, np.ndarray]:
        model.export(str(path), format="tf_saved_model", verbose=False)
        (name,) = tf.saved_model.load(str(path)).signatures["serving_default"].structured_input_signature[1]
        return {name: next(iter(inputs.values()))}

    return build


def recurrent(layer: str):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((6, 3))
    x = keras.layers.Bidirectional(getattr(keras.layers, layer)(4, return_sequences=True))(inputs)
    x = getattr(keras.layers, layer)(3)(x)
    steps = np.random.default_rng(5).uniform(-1, 1, (3, 6, 3)).astype(np.float32)
    return keras_export(keras.Model(inputs, x), {"x": steps})


def text_model():
    keras.utils.set_random_seed(6)
    vectorize = keras.layers.TextVectorization(output_sequence_length=5, vocabulary=["good", "bad", "film"])
    inputs = keras.Input((1,), dtype="string")
    x = keras.layers.Embedding(5, 4)(vectorize(inputs))
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling1D()(x))
    return keras_export(keras.Model(inputs, x), {"x": words("A good film!", "bad, bad film...", "").reshape(3, 1)})


def encoder():
    """Attention, layer normalization and GELU, which are lowered to fused operators."""
    model = families.build("transformer")
    return keras_export(model, {"tokens": families.inputs_for(model, 3)})


def main() -> int:
    models = {
        "complex_variables": complex_variables,
        "generators": generators,
        "tables_of_tensors": tables_of_tensors,
        "lookup_from_file": lookup_from_file,
        "numbers_from_file": numbers_from_file,
        "v1_tables": v1_tables,
        "v1_merge": v1_merge,
        "v1_loop": v1_loop,
        "v1_nested": v1_nested,
        "v1_arrays": v1_arrays,
        "changing_state": changing_state,
        "keras_lstm": recurrent("LSTM"),
        "keras_gru": recurrent("GRU"),
        "keras_text": text_model(),
        "keras_encoder": encoder(),
    }
    only = sys.argv[1:] or list(models)
    for name in only:
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary = Path(scratch) / "colors.txt"
        vocabulary.write_text("red\ngreen\nblue\n")
        for name in only:
            inputs = models[name](FOLDER / name, vocabulary)
            golden(FOLDER / name, inputs)
    total = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"models: {len(only)} recorded, {total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
