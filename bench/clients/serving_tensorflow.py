"""Python TensorFlow behind grpcio, with the official stubs: the rival of the serving benchmark.

    serving_tensorflow.py FROZEN THREADS       # a frozen graph from input:0 to predict:0, in plaintext

Prints {"port": n}; answers each line on standard input with {"cpuMs": n}.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent import futures
from pathlib import Path

from engine_tensorflow import batch_of, load

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

WORKERS = 4
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, call) -> None:
        self.call = call

    def Predict(self, request, context):  # noqa: N802 (gRPC's name)
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        scores = self.call(tf.make_ndarray(request.inputs["input"]))
        response.outputs["predict"].CopyFrom(tf.make_tensor_proto(scores))
        return response


def main(frozen: Path, threads: int) -> None:
    shape, dtype, call = load(frozen, threads)
    call(batch_of(shape, dtype, 1))
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS), options=UNLIMITED)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(call), server)
    print(json.dumps({"port": server.add_insecure_port("127.0.0.1:0")}), flush=True)
    server.start()
    for _ in sys.stdin:
        print(json.dumps({"cpuMs": time.process_time() * 1000}), flush=True)
    server.stop(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
