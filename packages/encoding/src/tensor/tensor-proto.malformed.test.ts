import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { concatBytes } from "../bytes.ts";
import { EncodingError } from "../encoding-error.ts";
import { TensorProtoSchema } from "../gen/tensorflow/core/framework/tensor_pb.js";
import { DataType } from "../gen/tensorflow/core/framework/types_pb.js";
import { PredictRequestSchema } from "../gen/tensorflow_serving/apis/predict_pb.js";
import { varintLength, WireWriter } from "../protobuf/protobuf-wire.ts";
import { readPredictRequest, readTensorProto } from "./tensor-proto.ts";

const hasCode = (code: string) => (error: unknown) => error instanceof EncodingError && error.code === code;

type Fields = Omit<MessageInitShape<typeof TensorProtoSchema>, "dtype" | "$typeName"> & { readonly dtype?: number };

/** A serialized TensorProto; the dtype may be a number that the enum does not have. */
function proto({ dtype = 0, ...fields }: Fields): Uint8Array {
  const head = new WireWriter(1 + varintLength(dtype));
  head.varint(8);
  head.varint(dtype);
  return concatBytes(head.bytes, toBinary(TensorProtoSchema, create(TensorProtoSchema, fields)));
}
const shape = (...sizes: bigint[]) => ({ dim: sizes.map((size) => ({ size })) });

test("content that has not exactly the shape's length is refused", () => {
  for (const length of [1, 7, 9, 12]) {
    const bytes = proto({ dtype: 1, tensorShape: shape(2n), tensorContent: new Uint8Array(length) });
    assert.throws(() => readTensorProto(bytes), hasCode("TENSOR_PROTO_MALFORMED"), `${length}`);
  }
  const empty = proto({ dtype: 1, tensorShape: shape(0n), tensorContent: new Uint8Array(4) });
  assert.throws(() => readTensorProto(empty), hasCode("TENSOR_PROTO_MALFORMED"));
});

test("string content with a wrong length, or with bytes left over, is refused", () => {
  for (const content of [
    [9, 0x61],
    [1, 1, 0x61],
    [0, 0, 0x61],
  ]) {
    const bytes = proto({ dtype: 7, tensorShape: shape(2n), tensorContent: Uint8Array.from(content) });
    assert.throws(() => readTensorProto(bytes), hasCode("TENSOR_PROTO_MALFORMED"));
  }
});

test("unknown rank and negative sizes are refused", () => {
  const unknown = proto({ dtype: 1, tensorShape: { unknownRank: true } });
  assert.throws(() => readTensorProto(unknown), hasCode("TENSOR_PROTO_MALFORMED"));
  assert.throws(() => readTensorProto(proto({ dtype: 1, tensorShape: shape(-1n) })), hasCode("TENSOR_PROTO_MALFORMED"));
});

test("absent, complex, quantised, reference and unknown dtypes are refused", () => {
  for (const dtype of [0, 8, 18, 11, 20, 21, 101, 999]) {
    const bytes = proto({ dtype, tensorShape: shape(1n) });
    assert.throws(() => readTensorProto(bytes), hasCode("TENSOR_PROTO_DTYPE_NOT_SUPPORTED"), `${dtype}`);
  }
});

test("a small message that asks for a huge tensor is refused before memory is taken", () => {
  for (const sizes of [[2n ** 40n], [2n ** 20n, 2n ** 20n], [2n ** 31n, 2n ** 31n, 2n ** 31n]]) {
    const bytes = proto({ dtype: 1, tensorShape: shape(...sizes), floatVal: [1] });
    assert.throws(() => readTensorProto(bytes), hasCode("TENSOR_PROTO_TOO_LARGE"));
  }
  const strings = proto({ dtype: 7, tensorShape: shape(2n ** 30n) });
  assert.throws(() => readTensorProto(strings), hasCode("TENSOR_PROTO_TOO_LARGE"));
  const manyDims = proto({ dtype: 1, tensorShape: shape(...Array.from({ length: 300 }, () => 1n)) });
  assert.throws(() => readTensorProto(manyDims), hasCode("TENSOR_PROTO_MALFORMED"));
});

test("a bool that is neither 0 nor 1 in tensor_content is refused", () => {
  const bytes = proto({ dtype: 10, tensorShape: shape(2n), tensorContent: Uint8Array.of(1, 2) });
  assert.throws(() => readTensorProto(bytes), hasCode("TENSOR_PROTO_MALFORMED"));
});

test("packed fields that end within a value are refused, also of other dtypes", () => {
  for (const field of [
    [0x2a, 3, 0, 0, 0],
    [0x32, 4, 0, 0, 0, 0],
    [0x3a, 1, 0x80],
  ]) {
    const bytes = Uint8Array.of(0x08, 1, 0x12, 0, ...field);
    assert.throws(() => readTensorProto(bytes), hasCode("TENSOR_PROTO_MALFORMED"));
  }
});

test("what the generated code cannot read is refused, and nothing else than EncodingError is thrown", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 48 }), (bytes) => {
      let readable = true;
      try {
        fromBinary(PredictRequestSchema, bytes);
      } catch {
        readable = false;
      }
      try {
        const { inputs } = readPredictRequest(bytes);
        for (const tensor of inputs.values()) readTensorProto(tensor);
        assert.ok(readable || inputs.size === 0);
      } catch (error) {
        assert.ok(error instanceof EncodingError, String(error));
      }
    }),
    { numRuns: 3000 },
  );
});

test("every cut of a valid message is refused or reads as a shorter one, never crashes", () => {
  const message = create(PredictRequestSchema, {
    modelSpec: { name: "digits" },
    inputs: { x: { dtype: DataType.DT_FLOAT, tensorShape: shape(4n), tensorContent: new Uint8Array(16) } },
  });
  const bytes = toBinary(PredictRequestSchema, message);
  for (let length = 0; length < bytes.length; length++) {
    try {
      for (const tensor of readPredictRequest(bytes.subarray(0, length)).inputs.values()) readTensorProto(tensor);
    } catch (error) {
      assert.ok(error instanceof EncodingError);
    }
  }
});
