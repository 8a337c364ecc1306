import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { EncodingError } from "../encoding-error.ts";
import { TensorProtoSchema } from "../gen/tensorflow/core/framework/tensor_pb.js";
import { SignatureDefSchema } from "../gen/tensorflow/core/protobuf/meta_graph_pb.js";
import { DataType } from "../gen/tensorflow/core/framework/types_pb.js";
import { ModelSpecSchema } from "../gen/tensorflow_serving/apis/model_pb.js";
import { SSLConfigSchema } from "../gen/tensorflow_serving/config/ssl_config_pb.js";
import { readTextFormat, writeTextFormat } from "./text-format.ts";

const refused = (error: unknown) => error instanceof EncodingError && error.code === "TEXT_FORMAT_MALFORMED";
const ssl = (text: string) => readTextFormat(SSLConfigSchema, text);

test("an ssl.cfg is read in every form that the stock server accepts", () => {
  const expected = { serverKey: "-----BEGIN\nAB\n-----END\n", serverCert: "c", customCa: "", clientVerify: true };
  const forms = [
    String.raw`server_key: "-----BEGIN\nAB\n-----END\n" server_cert: "c" client_verify: true`,
    String.raw`server_key: '-----BEGIN\nAB\n-----END\n', server_cert: 'c'; client_verify: 1`,
    '# a comment\nserver_key:"-----BEGIN\\n"\n  "AB\\n"  # of two\n  \'-----END\\n\'\nserver_cert: "\\x63"\r\nclient_verify:True',
    String.raw`server_cert:"\143"client_verify:t server_key:"-----BEGIN\012AB\u000a-----END\U0000000a"`,
  ];
  for (const form of forms) {
    const { $typeName: _name, ...fields } = ssl(form);
    assert.deepEqual(fields, expected);
  }
});

test("a PEM whose body is one line keeps its line breaks around the body only", () => {
  const body = "MIIB".repeat(400);
  const { serverKey } = ssl(`server_key: "-----BEGIN PRIVATE KEY-----\\n${body}\\n-----END PRIVATE KEY-----"`);
  assert.equal(serverKey, `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----`);
});

test("an empty text is the default message", () => {
  assert.deepEqual(ssl(" # nothing\n"), create(SSLConfigSchema));
});

test("nested messages, maps, lists and enums are read with and without colons, in braces and angle brackets", () => {
  const text = `
    inputs { key: "x" value: < dtype: DT_FLOAT name: "x:0", tensor_shape { dim { size: -1 } dim: { size: 0x10 } } > }
    inputs: [{ key: "y" value { dtype: 9 } }]
    method_name: "m"`;
  const expected = create(SignatureDefSchema, {
    methodName: "m",
    inputs: {
      x: {
        dtype: DataType.DT_FLOAT,
        encoding: { case: "name", value: "x:0" },
        tensorShape: { dim: [{ size: -1n }, { size: 16n }] },
      },
      y: { dtype: DataType.DT_INT64 },
    },
  });
  assert.deepEqual(readTextFormat(SignatureDefSchema, text), expected);
});

test("numbers are read in every notation, and lists in brackets", () => {
  const text =
    "float_val: [1, -2.5, .5, 1e3, 2f, -inf, nan] int_val: 017 int_val: [] int64_val: [-9223372036854775808, 0xff]";
  const { floatVal, intVal, int64Val } = readTextFormat(TensorProtoSchema, text);
  assert.deepEqual(floatVal, [1, -2.5, 0.5, 1000, 2, -Infinity, Number.NaN]);
  assert.deepEqual([intVal, int64Val], [[15], [-(2n ** 63n), 255n]]);
});

test("what is not exactly right is refused", () => {
  const texts = [
    "unknown: 1",
    "server_key",
    "server_key:",
    "server_key: key",
    "server_key: 1",
    'server_key "a"',
    'server_key: "a" server_key: "b"',
    'server_key: "a',
    'server_key: "a\nb"',
    String.raw`server_key: "\q"`,
    String.raw`server_key: "\777"`,
    String.raw`server_key: "\xff"`,
    String.raw`server_key: "\Uffffffff"`,
    "client_verify: yes",
    "client_verify: 2",
    "client_verify { }",
    '[ext.name]: "a"',
    "}",
    "\0",
    'server_key: "a" }',
    'server_key: ["a"]',
  ];
  for (const text of texts) assert.throws(() => ssl(text), refused, text);
  const specs = [
    "version { value: 1",
    "version { value: 9223372036854775808 }",
    "version: 1",
    'version { } version_label: "a"',
  ];
  for (const text of specs) assert.throws(() => readTextFormat(ModelSpecSchema, text), refused, text);
  const tensors = [
    "int_val: 1.5",
    "int_val: 2147483648",
    "int_val: 08",
    "int_val: [1,]",
    "int_val: [1",
    "dtype: DT_NONE",
    "float_val: 1x",
  ];
  for (const text of tensors) assert.throws(() => readTextFormat(TensorProtoSchema, text), refused, text);
  const entries = [
    'inputs { key: "a" }',
    "inputs { value { } }",
    'inputs { key: "a" key: "b" value { } }',
    'inputs { key: "a" value { } other: 1 }',
  ];
  for (const text of entries) assert.throws(() => readTextFormat(SignatureDefSchema, text), refused, text);
});

test("an error tells the line, and nothing of the text", () => {
  assert.throws(
    () => ssl('server_cert: "c"\n\nserver_secret: "hidden"'),
    (error: unknown) =>
      error instanceof EncodingError && error.message.includes("line 3") && !/secret|hidden/.test(error.message),
  );
});

test("any text is read or refused, never anything else", () => {
  const pieces = fc.constantFrom(
    "server_key",
    ":",
    '"',
    "'",
    "\\",
    "{",
    "}",
    "<",
    ">",
    "[",
    "]",
    ",",
    "#",
    "\n",
    "1",
    "-",
    "true",
    "client_verify",
    " ",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      try {
        ssl(parts.join(""));
      } catch (error) {
        assert.ok(refused(error), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("messages that were written are read back", () => {
  const strings = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(
      strings,
      fc.uint8Array(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.float(),
      (name, bytes, size, value) => {
        const tensor = create(TensorProtoSchema, {
          dtype: DataType.DT_STRING,
          tensorShape: { dim: [{ size, name }, {}] },
          stringVal: [bytes],
          floatVal: [value, Infinity, -0],
        });
        const read = readTextFormat(TensorProtoSchema, writeTextFormat(TensorProtoSchema, tensor));
        assert.deepEqual(toBinary(TensorProtoSchema, read), toBinary(TensorProtoSchema, tensor));
      },
    ),
  );
  const signature = create(SignatureDefSchema, {
    inputs: { b: { dtype: DataType.DT_HALF }, a: {} },
    methodName: 'quote " and \\',
  });
  const text = writeTextFormat(SignatureDefSchema, signature);
  assert.deepEqual(readTextFormat(SignatureDefSchema, text), signature);
  assert.ok(text.startsWith('inputs {\n  key: "a"\n  value {\n  }\n}\n'));
});
