"""Asks a running server for all digits with the official TensorFlow Serving stubs.

    python e2e/oracle/check_server.py --address localhost:8500 --ca ca.pem \\
        --cert client.pem --key client-key.pem --server-name serving.example \\
        --images examples/digits/images --golden examples/digits/golden.json

GetModelStatus, Predict image by image, Predict for all images in one batch, and a model that
is not there. Prints one line; exit code 1 on any difference.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import grpc
import numpy as np
import tensorflow as tf
from digits import DIGITS, TOLERANCE, Golden, largest_difference, read_golden, read_images
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

AVAILABLE = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare a running server with golden.json.")
    parser.add_argument("--address", required=True, help="host:port")
    parser.add_argument("--ca", type=Path, required=True, help="PEM that signs the server")
    parser.add_argument("--cert", type=Path, help="PEM chain of the client; needs --key")
    parser.add_argument("--key", type=Path, help="PEM key of the client; needs --cert")
    parser.add_argument("--server-name", help="name in the server's certificate")
    parser.add_argument("--images", type=Path, default=DIGITS / "images")
    parser.add_argument("--golden", type=Path, default=DIGITS / "golden.json")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--input", default="input")
    parser.add_argument("--timeout", type=float, default=10, help="seconds for one call")
    found = parser.parse_args()
    if (found.cert is None) != (found.key is None):
        parser.error("--cert and --key belong together")
    return found


def open_channel(options: argparse.Namespace) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=options.ca.read_bytes(),
        private_key=options.key.read_bytes() if options.key else None,
        certificate_chain=options.cert.read_bytes() if options.cert else None,
    )
    settings = []
    if options.server_name:
        settings.append(("grpc.ssl_target_name_override", options.server_name))
    return grpc.secure_channel(options.address, credentials, settings)


def available_versions(channel: grpc.Channel, options: argparse.Namespace) -> list[int]:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = options.model
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    reply = stub.GetModelStatus(request, timeout=options.timeout)
    return [s.version for s in reply.model_version_status if s.state == AVAILABLE]


class Predictor:
    def __init__(self, channel: grpc.Channel, options: argparse.Namespace, golden: Golden):
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._options = options
        self._golden = golden

    def predict(self, batch: np.ndarray, model: str | None = None) -> np.ndarray:
        """[n, 8, 8, 1] to [n, 10]; the reply may hold no other output."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model or self._options.model
        request.model_spec.signature_name = self._golden.signature
        request.inputs[self._options.input].CopyFrom(tf.make_tensor_proto(batch))
        reply = self._stub.Predict(request, timeout=self._options.timeout)
        assert list(reply.outputs) == [self._golden.output], list(reply.outputs)
        return tf.make_ndarray(reply.outputs[self._golden.output])

    def refusal_of_unknown_model(self, batch: np.ndarray) -> str:
        try:
            self.predict(batch, model=self._options.model + "-that-is-not-there")
        except grpc.RpcError as error:
            return error.code().name
        return "OK"


def main() -> int:
    options = arguments()
    golden = read_golden(options.golden)
    batch = read_images(options.images)
    with open_channel(options) as channel:
        predictor = Predictor(channel, options, golden)
        try:
            versions = available_versions(channel, options)
            start = time.monotonic()
            single = np.concatenate([predictor.predict(image[np.newaxis]) for image in batch])
            seconds = time.monotonic() - start
            together = predictor.predict(batch)
            refusal = predictor.refusal_of_unknown_model(batch[:1])
        except grpc.RpcError as error:
            print(f"server: FAILED with {error.code().name}: {error.details()}")
            return 1
    apart = largest_difference(golden.rows, single)
    batched = largest_difference(golden.rows, together)
    passed = (
        max(apart, batched) <= TOLERANCE and len(versions) > 0 and refusal == "NOT_FOUND"
    )
    print(
        f"server: {'equal' if passed else 'DIFFERENT'}; {len(batch)} images, "
        f"versions available {versions}, largest difference {apart:.2e} one by one, "
        f"{batched:.2e} in one batch, unknown model {refusal}, "
        f"{1000 * seconds / len(batch):.1f} ms a request"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
