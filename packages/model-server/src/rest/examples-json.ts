import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { utf8 } from "@cloister/encoding";
import { fromBase64 } from "@cloister/encoding/base64";
import { ExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import type { FeatureSchema } from "@cloister/encoding/gen/tensorflow/core/example/feature_pb";
import { callError } from "../errors.ts";
import type { ScoredClass } from "../serving/example-signature.ts";
import { formatFloat } from "./json-numbers.ts";
import { JsonReader } from "./json-reader.ts";
import { readBase64Object } from "./json-tensor.ts";
import { readMembers } from "./json-members.ts";

type FeatureInit = MessageInitShape<typeof FeatureSchema>;
type Features = Record<string, FeatureInit>;
type FeatureValue =
  | { readonly kind: "int64"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "bytes"; readonly value: Uint8Array };

const MAX_INT64 = 2n ** 63n - 1n;

export interface JsonExamplesRequest {
  readonly signatureName: string;
  /** Serialized tf.Examples, the context merged in. */
  readonly examples: readonly Uint8Array[];
}

/** The body of a `:classify` or `:regress` request. Throws INVALID_ARGUMENT. */
export function readExamplesBody(body: Uint8Array): JsonExamplesRequest {
  const reader = new JsonReader(body);
  const members = readMembers(reader);
  const signatureName = members.string("signature_name");
  const contextAt = members.position("context");
  const context = contextAt === undefined ? {} : readFeatures(at(reader, contextAt), "context");
  const examplesAt = members.position("examples");
  if (examplesAt === undefined)
    throw callError("INVALID_ARGUMENT", "When method is classify, key 'examples' is expected and was not found");
  at(reader, examplesAt);
  if (reader.peek() !== "array") throw callError("INVALID_ARGUMENT", "Expecting 'examples' value to be a list/array");
  reader.enterArray();
  const examples: Uint8Array[] = [];
  while (reader.nextItem(examples.length === 0)) {
    const feature = { ...context, ...readFeatures(reader, "example") };
    examples.push(toBinary(ExampleSchema, create(ExampleSchema, { features: { feature } })));
  }
  if (examples.length === 0) throw callError("INVALID_ARGUMENT", "'examples' key is empty");
  return { signatureName, examples };
}

function at(reader: JsonReader, position: number): JsonReader {
  reader.seek(position);
  return reader;
}

function readFeatures(reader: JsonReader, what: string): Features {
  if (reader.peek() !== "object") throw callError("INVALID_ARGUMENT", `Expecting ${what} to be an object`);
  reader.enterObject();
  const features: [string, FeatureInit][] = [];
  const seen = new Set<string>();
  for (let name = reader.nextName(true); name !== undefined; name = reader.nextName(false)) {
    const feature = featureOf(name, readFeatureValues(reader, name));
    if (!seen.has(name)) features.push([name, feature]);
    seen.add(name);
  }
  return Object.fromEntries(features);
}

function readFeatureValues(reader: JsonReader, name: string): FeatureValue[] {
  if (reader.peek() !== "array") return [readFeatureValue(reader, name)];
  reader.enterArray();
  const values: FeatureValue[] = [];
  while (reader.nextItem(values.length === 0)) values.push(readFeatureValue(reader, name));
  return values;
}

function readFeatureValue(reader: JsonReader, name: string): FeatureValue {
  const kind = reader.peek();
  switch (kind) {
    case "true":
    case "false":
      reader.readWord(kind);
      return { kind: "int64", value: kind === "true" ? 1n : 0n };
    case "string":
      return { kind: "bytes", value: utf8(reader.readString()) };
    case "number":
      return numberValue(reader, name);
    case "object":
      return { kind: "bytes", value: base64Value(reader, name) };
    default:
      throw callError(
        "INVALID_ARGUMENT",
        `Feature: ${name} has a value that is ${kind === "null" ? "null" : "a nested list"}`,
      );
  }
}

function numberValue(reader: JsonReader, name: string): FeatureValue {
  const start = reader.position;
  const { text, isInteger } = reader.readNumber();
  if (!isInteger) {
    reader.seek(start);
    reader.peek();
    return { kind: "float", value: reader.readDouble() };
  }
  const value = text.length > 20 ? MAX_INT64 + 1n : BigInt(text);
  if (value > MAX_INT64 || value < -MAX_INT64 - 1n) {
    throw callError("INVALID_ARGUMENT", `Feature: ${name} has uint64 value. Only int64 is supported.`);
  }
  return { kind: "int64", value };
}

function base64Value(reader: JsonReader, name: string): Uint8Array {
  const bytes = fromBase64(readBase64Object(reader) ?? "?");
  if (bytes !== undefined) return bytes;
  throw callError("INVALID_ARGUMENT", `Feature: ${name} has an object that is not {"b64": base64 text}`);
}

function featureOf(name: string, values: readonly FeatureValue[]): FeatureInit {
  const [first] = values;
  if (first === undefined) return {};
  if (values.some(({ kind }) => kind !== first.kind)) {
    throw callError("INVALID_ARGUMENT", `Unexpected element type in Feature: ${name} expecting type: ${first.kind}`);
  }
  switch (first.kind) {
    case "int64":
      return { kind: { case: "int64List", value: { value: values.map(({ value }) => value as bigint) } } };
    case "float":
      return { kind: { case: "floatList", value: { value: values.map(({ value }) => value as number) } } };
    default:
      return { kind: { case: "bytesList", value: { value: values.map(({ value }) => value as Uint8Array) } } };
  }
}

/** The body of a `:classify` answer: for each example its pairs of label and score. */
export function writeClassifyBody(rows: readonly (readonly ScoredClass[])[]): string {
  const lists = rows.map((classes) => {
    const pairs = classes.map(({ label, score }) => `[${JSON.stringify(label)}, ${formatFloat(score)}]`);
    return `[${pairs.join(", ")}]`;
  });
  return `{\n    "results": [${lists.join(", ")}]\n}`;
}

/** The body of a `:regress` answer: for each example its value. */
export function writeRegressBody(rows: readonly number[]): string {
  return `{\n    "results": [${rows.map(formatFloat).join(", ")}]\n}`;
}
