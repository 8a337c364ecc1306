"""Writes what the official TensorFlow Serving stubs are generated from: a FileDescriptorSet, on standard output.

    python e2e/oracle/describe_stubs.py > tensorflow-serving.bin

Generators for other languages read it, so that their stubs are the official ones too.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2


def add(file: FileDescriptor, found: dict[str, FileDescriptorProto]) -> None:
    """Adds a file after those that it imports."""
    if file.name in found:
        return
    for imported in file.dependencies:
        add(imported, found)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    found[file.name] = proto


def main() -> None:
    found: dict[str, FileDescriptorProto] = {}
    for file in (prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR):
        add(file, found)
    sys.stdout.buffer.write(FileDescriptorSet(file=found.values()).SerializeToString())


if __name__ == "__main__":
    main()
