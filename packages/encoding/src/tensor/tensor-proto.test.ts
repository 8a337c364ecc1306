import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { TensorProtoSchema } from "../gen/tensorflow/core/framework/tensor_pb.js";
import { DataType } from "../gen/tensorflow/core/framework/types_pb.js";
import { PredictRequestSchema, PredictResponseSchema } from "../gen/tensorflow_serving/apis/predict_pb.js";
import { WireWriter } from "../protobuf/protobuf-wire.ts";
import type { DType, NumericArray, Tensor } from "./tensor.ts";
import {
  layoutOf,
  readPredictRequest,
  readPredictResponse,
  readTensorProto,
  sizeTensor,
  type TensorEncoding,
  toModelSpec,
  writePredictRequest,
  writePredictResponse,
} from "./tensor-proto.ts";

const NUMERIC: readonly DType[] = [
  "float",
  "double",
  "int32",
  "uint8",
  "int16",
  "int8",
  "int64",
  "bool",
  "bfloat16",
  "uint16",
  "half",
  "uint32",
  "uint64",
];

const VALUE_FIELD = {
  float: "floatVal",
  double: "doubleVal",
  int32: "intVal",
  uint8: "intVal",
  int16: "intVal",
  int8: "intVal",
  int64: "int64Val",
  bool: "boolVal",
  bfloat16: "halfVal",
  uint16: "intVal",
  half: "halfVal",
  uint32: "uint32Val",
  uint64: "uint64Val",
} as const;

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** A tensor of the dtype whose memory is filled from random bytes. */
function tensorFrom(dtype: DType, shape: readonly number[], random: Uint8Array): Tensor {
  if (dtype === "string") {
    const data = Array.from({ length: count(shape) }, (_, index) => random.slice(index % 7, (index % 7) + (index % 3)));
    return { dtype, shape, data };
  }
  const data = layoutOf(dtype).allocate?.(count(shape)) ?? assert.fail();
  const bytes = new Uint8Array(data.buffer);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] =
      dtype === "bool" ? (random[index % random.length] ?? 0) & 1 : (random[index % random.length] ?? 0) ^ index;
  }
  return { dtype, shape, data };
}

const tensors = fc
  .record({
    dtype: fc.constantFrom<DType>(...NUMERIC, "string"),
    shape: shapes,
    random: fc.uint8Array({ minLength: 8, maxLength: 64 }),
  })
  .map(({ dtype, shape, random }) => tensorFrom(dtype, shape, random));

function serialize(tensor: Tensor, encoding: TensorEncoding): Uint8Array {
  const sized = sizeTensor(tensor, encoding);
  const writer = new WireWriter(sized.length);
  sized.write(writer);
  assert.equal(writer.position, sized.length);
  return writer.bytes;
}

/** Bits, so that NaN equals NaN. */
function bits(data: Tensor["data"]): unknown {
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")
    : data.map((item) => Buffer.from(item).toString("hex"));
}

function assertSame(actual: Tensor, expected: Tensor): void {
  assert.equal(actual.dtype, expected.dtype);
  assert.deepEqual(actual.shape, expected.shape);
  assert.deepEqual(bits(actual.data), bits(expected.data));
}

test("every dtype survives both encodings", () => {
  fc.assert(
    fc.property(tensors, fc.constantFrom<TensorEncoding>("content", "values"), (tensor, encoding) => {
      assertSame(readTensorProto(serialize(tensor, encoding)), tensor);
    }),
    { numRuns: 500 },
  );
});

test("what the writer makes, the generated code reads and writes alike", () => {
  fc.assert(
    fc.property(tensors, fc.constantFrom<TensorEncoding>("content", "values"), (tensor, encoding) => {
      const bytes = serialize(tensor, encoding);
      const message = fromBinary(TensorProtoSchema, bytes);
      assert.equal(message.dtype, layoutOf(tensor.dtype).code);
      assert.deepEqual(
        message.tensorShape?.dim.map((dim) => Number(dim.size)),
        [...tensor.shape],
      );
      // Floats are compared through the reader: the generated code does not keep the payload of a NaN.
      if (tensor.dtype !== "float" && tensor.dtype !== "double") {
        assert.deepEqual(Buffer.from(toBinary(TensorProtoSchema, message)), Buffer.from(bytes));
      }
    }),
    { numRuns: 500 },
  );
});

/** A TensorProto with the first `given` values in the dtype's field. */
function generated(dtype: keyof typeof VALUE_FIELD, shape: readonly number[], values: readonly unknown[]): Uint8Array {
  const dim = shape.map((size) => ({ size: BigInt(size) }));
  const message = create(TensorProtoSchema, { dtype: layoutOf(dtype).code, tensorShape: { dim } });
  return toBinary(TensorProtoSchema, Object.assign(message, { [VALUE_FIELD[dtype]]: values }));
}

test("too few values are continued with the last, surplus is ignored, none gives zeros", () => {
  for (const dtype of Object.keys(VALUE_FIELD) as (keyof typeof VALUE_FIELD)[]) {
    const isBig = dtype === "int64" || dtype === "uint64";
    const convert = (value: number) => {
      if (dtype === "bool") return value !== 0;
      return isBig ? BigInt(value) : value;
    };
    const decode = (...values: number[]) =>
      Array.from(readTensorProto(generated(dtype, [2, 2], values.map(convert))).data as NumericArray, Number);
    const bool = (values: number[]) => (dtype === "bool" ? values.map((value) => (value === 0 ? 0 : 1)) : values);
    assert.deepEqual(decode(), [0, 0, 0, 0], dtype);
    assert.deepEqual(decode(7), bool([7, 7, 7, 7]), dtype);
    assert.deepEqual(decode(0, 5), bool([0, 5, 5, 5]), dtype);
    assert.deepEqual(decode(1, 2, 3, 4), bool([1, 2, 3, 4]), dtype);
    assert.deepEqual(decode(1, 2, 3, 4, 5, 6), bool([1, 2, 3, 4]), dtype);
  }
});

test("strings are continued with the last, surplus is ignored, none gives empty ones", () => {
  const decode = (...strings: string[]) => {
    const message = { dtype: DataType.DT_STRING, tensorShape: { dim: [{ size: 3n }] }, stringVal: strings.map(utf8) };
    const { data } = readTensorProto(toBinary(TensorProtoSchema, create(TensorProtoSchema, message)));
    return (data as Uint8Array[]).map((bytes) => Buffer.from(bytes).toString());
  };
  assert.deepEqual(decode(), ["", "", ""]);
  assert.deepEqual(decode("a", "b"), ["a", "b", "b"]);
  assert.deepEqual(decode("a", "b", "c", "d"), ["a", "b", "c"]);
});

test("strings in tensor_content are read: all lengths, then all bytes", () => {
  const tensorContent = Uint8Array.of(1, 0, 2, 0x61, 0x62, 0x63);
  const message = create(TensorProtoSchema, {
    dtype: DataType.DT_STRING,
    tensorShape: { dim: [{ size: 3n }] },
    tensorContent,
  });
  const { data } = readTensorProto(toBinary(TensorProtoSchema, message));
  assert.deepEqual(
    (data as Uint8Array[]).map((bytes) => Buffer.from(bytes).toString()),
    ["a", "", "bc"],
  );
});

test("unpacked and mixed repeated fields are read", () => {
  const shape = [0x12, 0x04, 0x12, 0x02, 0x08, 0x03];
  const float = Uint8Array.of(
    0x08,
    1,
    ...shape,
    0x2d,
    0,
    0,
    0x80,
    0x3f,
    0x2a,
    4,
    0,
    0,
    0,
    0x40,
    0x2d,
    0,
    0,
    0x40,
    0x40,
  );
  assert.deepEqual(readTensorProto(float).data, Float32Array.of(1, 2, 3));
  const int = Uint8Array.of(0x08, 3, ...shape, 0x38, 5, 0x3a, 2, 6, 7);
  assert.deepEqual(readTensorProto(int).data, Int32Array.of(5, 6, 7));
});

test("negative and 64-bit integers keep their value", () => {
  const int64 = {
    dtype: DataType.DT_INT64,
    tensorShape: { dim: [{ size: 3n }] },
    int64Val: [-1n, 2n ** 63n - 1n, -(2n ** 63n)],
  };
  const bytes = toBinary(TensorProtoSchema, create(TensorProtoSchema, int64));
  assert.deepEqual(readTensorProto(bytes).data, BigInt64Array.of(-1n, 2n ** 63n - 1n, -(2n ** 63n)));
  const uint64 = { dtype: DataType.DT_UINT64, tensorShape: { dim: [{ size: 1n }] }, uint64Val: [2n ** 64n - 1n] };
  const unsigned = toBinary(TensorProtoSchema, create(TensorProtoSchema, uint64));
  assert.deepEqual(readTensorProto(unsigned).data, BigUint64Array.of(2n ** 64n - 1n));
});

test("a Buffer is read like any other array: its slice method shares memory, so copies must not use it", () => {
  for (const encoding of ["content", "values"] as const) {
    const tensor: Tensor = { dtype: "double", shape: [2], data: Float64Array.of(1, 2) };
    const message = serialize(tensor, encoding);
    for (let shift = 0; shift < 8; shift++) {
      const memory = Buffer.alloc(message.length + 8);
      memory.set(message, shift);
      assertSame(readTensorProto(memory.subarray(shift, shift + message.length)), tensor);
    }
  }
});

test("aligned content is a view of the message, misaligned content a copy", () => {
  const tensor: Tensor = { dtype: "float", shape: [2], data: Float32Array.of(1, 2) };
  const message = serialize(tensor, "content");
  const shifts = [0, 1, 2, 3].map((shift) => {
    const memory = new Uint8Array(message.length + 8);
    memory.set(message, shift);
    const read = readTensorProto(memory.subarray(shift, shift + message.length));
    assertSame(read, tensor);
    return (read.data as Float32Array).buffer === memory.buffer;
  });
  assert.equal(shifts.filter(Boolean).length, 1);
});

const models = fc.record(
  {
    name: fc.string({ unit: "grapheme" }),
    signatureName: fc.string(),
    version: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  },
  { requiredKeys: ["name", "signatureName"] },
);
const maps = fc.array(fc.tuple(fc.string(), tensors), { maxLength: 4 }).map((entries) => new Map(entries));

test("requests read as the generated code reads them", () => {
  fc.assert(
    fc.property(models, maps, fc.array(fc.string(), { maxLength: 3 }), (model, inputs, outputFilter) => {
      const bytes = writePredictRequest({ model, inputs, outputFilter }, "content", 5).subarray(5);
      const message = fromBinary(PredictRequestSchema, bytes);
      assert.deepEqual(message.modelSpec, toModelSpec(model));
      assert.deepEqual(message.outputFilter, outputFilter);
      assert.deepEqual(Object.keys(message.inputs).toSorted(), [...inputs.keys()].toSorted());
      const read = readPredictRequest(toBinary(PredictRequestSchema, message));
      assert.deepEqual(read.model, { ...model });
      assert.deepEqual(read.outputFilter, outputFilter);
      for (const [alias, tensor] of inputs) {
        if (tensor.dtype === "float" || tensor.dtype === "double") continue;
        assertSame(readTensorProto(read.inputs.get(alias) ?? assert.fail()), tensor);
      }
    }),
  );
});

test("responses read as the generated code reads them", () => {
  fc.assert(
    fc.property(models, maps, (model, outputs) => {
      const bytes = writePredictResponse({ model, outputs });
      const message = fromBinary(PredictResponseSchema, bytes);
      assert.deepEqual(message.modelSpec, toModelSpec(model));
      const read = readPredictResponse(bytes);
      assert.deepEqual([...read.outputs.keys()], [...outputs.keys()]);
      for (const [alias, tensor] of outputs) {
        assertSame(readTensorProto(read.outputs.get(alias) ?? assert.fail()), tensor);
      }
    }),
  );
});

test("parts of a message that comes twice are merged, and of equal aliases the last counts", () => {
  const one = toBinary(PredictRequestSchema, create(PredictRequestSchema, { modelSpec: { name: "m" } }));
  const two = toBinary(PredictRequestSchema, create(PredictRequestSchema, { modelSpec: { signatureName: "s" } }));
  assert.deepEqual(readPredictRequest(Buffer.concat([one, two])).model, { name: "m", signatureName: "s" });
  const input = (value: number) =>
    writePredictRequest({
      model: { name: "m", signatureName: "" },
      inputs: new Map([["x", { dtype: "int32", shape: [], data: Int32Array.of(value) } as const]]),
    });
  const raw = readPredictRequest(Buffer.concat([input(1), input(2)])).inputs.get("x") ?? assert.fail();
  assert.deepEqual(readTensorProto(raw).data, Int32Array.of(2));
});
