"""The original system's benchmark client, said anew: its options, its channels, its printout.

    python e2e/oracle/original_client.py -url HOST:PORT [-ca FILE] [-crt FILE] [-key FILE]
        [-batch 1] [-cnum 16] [-loop 200]

Neither -ca nor -crt: plaintext. Only -crt: it is what the server is trusted by (one-way TLS).
-ca: the authority, with -crt and -key as the client's own (mutual TLS). Each of -cnum tasks has a
channel of its own with gRPC's default options, and sends -loop calls one after the other; five
calls each come before, uncounted. Any error ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SIDE, CHANNELS = 224, 3
WARM_UP = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send images to resnet50-v15-fp32.")
    parser.add_argument("-url", default="localhost:8500")
    for name in ["ca", "key", "crt"]:
        parser.add_argument(f"-{name}", type=Path)
    for name, default in [("batch", 1), ("cnum", 16), ("loop", 200)]:
        parser.add_argument(f"-{name}", type=int, default=default)
    return parser.parse_args()


def channel(options: argparse.Namespace) -> grpc.aio.Channel:
    if options.ca is None and options.crt is None:
        return grpc.aio.insecure_channel(options.url)
    if options.ca is None:
        credentials = grpc.ssl_channel_credentials(root_certificates=options.crt.read_bytes())
    else:
        files = [options.ca, options.key, options.crt]
        root, key, chain = (file.read_bytes() if file is not None else None for file in files)
        credentials = grpc.ssl_channel_credentials(root, key, chain)
    return grpc.aio.secure_channel(options.url, credentials)


class Task:
    def __init__(self, index: int, options: argparse.Namespace) -> None:
        self.index = index
        self.options = options
        self.kind = "insecure" if options.ca is None and options.crt is None else "secure"
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(channel(options))
        pixels = np.random.randint(0, 255, (options.batch, SIDE, SIDE, CHANNELS), np.uint8).astype(np.float32)
        self.request = predict_pb2.PredictRequest()
        self.request.model_spec.name = "resnet50-v15-fp32"
        self.request.model_spec.signature_name = "serving_default"
        self.request.inputs["input"].CopyFrom(tf.make_tensor_proto(pixels))
        self.first = None

    async def run(self, loops: int, *, quiet: bool) -> list[float]:
        times = []
        while loops == 0 or len(times) < loops:
            start = time.perf_counter()
            response = await self.stub.Predict(self.request)
            times.append(time.perf_counter() - start)
            if self.first is None:
                self.first = MessageToDict(response)
            if not quiet:
                rate = self.options.batch / times[-1]
                print(
                    f"query: {self.kind} channel, task {self.index}, batch {self.options.batch}, "
                    f"loop_idx {len(times) - 1}, latency(ms) {times[-1] * 1000:.1f}, tps: {rate:.1f}"
                )
        return times


async def main() -> None:
    options = arguments()
    tasks = [Task(index, options) for index in range(options.cnum)]
    if options.loop != 0:
        await asyncio.gather(*(task.run(WARM_UP, quiet=True) for task in tasks))
    start = time.perf_counter()
    times = await asyncio.gather(*(task.run(options.loop, quiet=False) for task in tasks))
    taken = time.perf_counter() - start
    print(tasks[0].first)
    calls = [one for each in times for one in each]
    average = 1000 * sum(calls) / len(calls)
    rate = options.batch * len(calls) / taken
    print(
        f"summary: cnum {options.cnum}, batch {options.batch}, e2e time(s) {taken:.3f}, "
        f"average latency(ms) {average:.1f}, tps: {rate:.1f}"
    )


if __name__ == "__main__":
    asyncio.run(main())
