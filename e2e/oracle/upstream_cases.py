"""TensorFlow Serving's integration cases as a black box, with the official stubs.

    python e2e/oracle/upstream_cases.py --grpc localhost:8500 --rest https://localhost:8501 \\
        --ca ca.pem --cert client.pem --key client-key.pem --server-name server.test \\
        --golden metadata.json --models FOLDER --work FOLDER

The server has to serve `half` (two versions, all), `tf2`, `three` and `counter`, metrics, and a
new configuration by request. Prints one line a case; exit code 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import grpc
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

TIMEOUT = 30
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


def example(**features: float) -> tf.train.Example:
    made = tf.train.Example()
    for name, value in features.items():
        made.features.feature[name].float_list.value.append(value)
    return made


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run TensorFlow Serving's cases.")
    for name in ["grpc", "rest", "server-name"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["ca", "cert", "key", "golden", "models", "work"]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


class Cases:
    def __init__(self, options: argparse.Namespace):
        credentials = grpc.ssl_channel_credentials(
            options.ca.read_bytes(), options.key.read_bytes(), options.cert.read_bytes()
        )
        override = [("grpc.ssl_target_name_override", options.server_name)]
        self._channel = grpc.secure_channel(options.grpc, credentials, override)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._tls = ssl.create_default_context(cafile=options.ca)
        self._tls.load_cert_chain(options.cert, options.key)
        self._options = options

    def rest(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._options.rest + path, data=data)
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=self._tls) as answer:
            return answer.read().decode()

    def refusal(self, call: Callable[[], Any]) -> str:
        try:
            call()
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def predict(self, model: str, values: list[float], signature: str = "", name: str = "x"):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype=tf.float32))
        reply = self._prediction.Predict(request, TIMEOUT)
        return {key: tf.make_ndarray(value).tolist() for key, value in reply.outputs.items()}

    # The cases. Each is named as upstream's, and answers with nothing or fails.

    def test_get_model_status(self) -> None:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "half"
        versions = self._model.GetModelStatus(request, TIMEOUT).model_version_status
        assert [v.version for v in versions] == [124, 123], versions
        assert all(v.state == 30 and v.status.error_code == 0 for v in versions)
        request.model_spec.version.value = 9
        assert self.refusal(lambda: self._model.GetModelStatus(request, TIMEOUT)) == "NOT_FOUND"

    def test_get_model_metadata(self) -> None:
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = "half"
        request.metadata_field.append("signature_def")
        reply = self._prediction.GetModelMetadata(request, TIMEOUT)
        assert reply.model_spec.version.value == 124
        definitions = get_model_metadata_pb2.SignatureDefMap()
        reply.metadata["signature_def"].Unpack(definitions)
        assert "regress_x_to_y" in definitions.signature_def

    def test_classify(self, model: str = "half") -> None:
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = "classify_x_to_y"
        request.input.example_list.examples.append(example(x=2.0))
        result = self._prediction.Classify(request, TIMEOUT).result
        assert len(result.classifications) == 1 and len(result.classifications[0].classes) == 1
        found = result.classifications[0].classes[0]
        assert (found.label, found.score) == ("", 3.0), found

    def test_classify_tf2(self) -> None:
        self.test_classify("tf2")

    def test_regress(self, model: str = "half") -> None:
        request = regression_pb2.RegressionRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = "regress_x_to_y"
        request.input.example_list.examples.append(example(x=2.0))
        result = self._prediction.Regress(request, TIMEOUT).result
        assert [r.value for r in result.regressions] == [3.0], result

    def test_regress_tf2(self) -> None:
        self.test_regress("tf2")

    def test_multi_inference(self, model: str = "half") -> None:
        request = inference_pb2.MultiInferenceRequest()
        request.input.example_list.examples.append(example(x=2.0))
        for signature, method in [("regress_x_to_y", REGRESS), ("classify_x_to_y", CLASSIFY)]:
            task = request.tasks.add(method_name=method)
            task.model_spec.name = model
            task.model_spec.signature_name = signature
        first, second = self._prediction.MultiInference(request, TIMEOUT).results
        assert first.regression_result.regressions[0].value == 3.0
        assert second.classification_result.classifications[0].classes[0].score == 3.0

    def test_multi_inference_tf2(self) -> None:
        self.test_multi_inference("tf2")

    def test_predict(self) -> None:
        assert self.predict("half", [2.0]) == {"y": [3.0]}

    def test_predict_batching(self) -> None:
        assert self.predict("half", [2.0, 3.0, 4.0]) == {"y": [3.0, 3.5, 4.0]}

    def test_predict_tf2(self) -> None:
        assert self.predict("tf2", [2.0, 3.0]) == {"y": [3.0, 3.5]}

    def test_predict_three(self) -> None:
        assert self.predict("three", [2.0]) == {"y": [4.0]}

    def test_predict_of_unknown_model(self) -> None:
        assert self.refusal(lambda: self.predict("none", [2.0])) == "NOT_FOUND"

    def test_predict_of_unknown_signature(self) -> None:
        call = lambda: self.predict("half", [2.0], "none")  # noqa: E731
        assert self.refusal(call) == "FAILED_PRECONDITION"

    def test_bad_model_config(self) -> None:
        request = model_management_pb2.ReloadConfigRequest()
        call = lambda: self._model.HandleReloadConfigRequest(request, TIMEOUT)  # noqa: E731
        assert self.refusal(call) == "INVALID_ARGUMENT"

    def test_rest_classify(self) -> None:
        body = {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}
        assert json.loads(self.rest("/v1/models/half:classify", body)) == {"results": [[["", 3.0]]]}

    def test_rest_regress(self) -> None:
        body = {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}
        assert json.loads(self.rest("/v1/models/half:regress", body)) == {"results": [3.0]}

    def test_rest_predict_row(self) -> None:
        body = {"instances": [2.0, 3.0, 4.0]}
        answer = json.loads(self.rest("/v1/models/half/versions/123:predict", body))
        assert answer == {"predictions": [3.0, 3.5, 4.0]}

    def test_rest_predict_column(self) -> None:
        answer = json.loads(self.rest("/v1/models/half:predict", {"inputs": [2.0, 3.0, 4.0]}))
        assert answer == {"outputs": [3.0, 3.5, 4.0]}

    def test_rest_status(self) -> None:
        answer = json.loads(self.rest("/v1/models/half/versions/123"))
        status = {"error_code": "OK", "error_message": ""}
        versions = [{"version": "123", "state": "AVAILABLE", "status": status}]
        assert answer == {"model_version_status": versions}

    def test_rest_metadata(self) -> None:
        answer = json.loads(self.rest("/v1/models/half/versions/123/metadata"))
        golden = json.loads(self._options.golden.read_text())
        golden["model_spec"]["name"] = "half"
        assert answer == golden

    def test_rest_unknown_model(self) -> None:
        try:
            self.rest("/v1/models/none")
        except urllib.error.HTTPError as error:
            assert error.code == 404
            assert "Could not find any versions" in json.loads(error.read())["error"]
            return
        raise AssertionError("an unknown model was answered")

    def test_prometheus(self) -> None:
        text = self.rest("/monitoring/prometheus/metrics")
        assert "# TYPE :tensorflow:serving:request_count counter" in text

    def test_saved_model_made_on_the_fly(self) -> None:
        class Module(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
            def double(self, x):
                return {"twice": 2.0 * x}

            @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
            def triple(self, x):
                return {"thrice": 3.0 * x}

        module = Module()
        base = self._options.work / "made"
        signatures = {"serving_default": module.double, "triple": module.triple}
        tf.saved_model.save(module, str(base / "1"), signatures=signatures)
        self.reload({"made": base})
        assert self.predict("made", [1.5]) == {"twice": [3.0]}
        assert self.predict("made", [1.5], "triple") == {"thrice": [4.5]}

    def test_keras_sequential(self) -> None:
        layer = tf.keras.layers.Dense(2, kernel_initializer="ones", bias_initializer="ones")
        model = tf.keras.Sequential([tf.keras.Input([3], name="x"), layer])
        base = self._options.work / "keras"
        model.export(str(base / "7"), format="tf_saved_model", verbose=False)
        self.reload({"keras": base})
        assert self.predict("keras", [[1.0, 2.0, 3.0]]) == {"output_0": [[7.0, 7.0]]}

    def test_model_that_does_not_load(self) -> None:
        call = lambda: self.reload({"bad": self._options.models / "bad_half_plus_two"})  # noqa: E731
        assert self.refusal(call) == "UNKNOWN"

    def test_models_that_are_left_out_go(self) -> None:
        self.reload({"three": self._options.models / "saved_model_half_plus_three"})
        assert self.predict("three", [2.0]) == {"y": [4.0]}
        assert self.refusal(lambda: self.predict("half", [2.0])) == "NOT_FOUND"

    def reload(self, models: dict[str, Path]) -> None:
        text = "".join(
            f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}'
            for name, path in models.items()
        )
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(f"model_config_list {{ {text} }}", request.config)
        self._model.HandleReloadConfigRequest(request, TIMEOUT)


def main() -> int:
    cases = Cases(arguments())
    failed = 0
    names = [name for name in vars(Cases) if name.startswith("test_")]
    for name in names:
        try:
            getattr(cases, name)()
            print(f"{name}: equal")
        except Exception as error:  # A case may fail in any way; the others go on.
            failed += 1
            print(f"{name}: DIFFERENT: {type(error).__name__} {error}")
    print(f"{len(names) - failed} of {len(names)} cases equal")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
