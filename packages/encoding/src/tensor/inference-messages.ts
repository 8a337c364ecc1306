/** ClassificationRequest, RegressionRequest and MultiInferenceRequest on raw bytes: Examples stay serialized. (apis/input.proto) */
import { merged, type ModelReference, readModelSpec } from "./predict-messages.ts";
import { malformedWire, tagOf, WIRE, WireReader } from "../protobuf/protobuf-wire.ts";

/** Memory that copies of the context may take: a short message can hold very many empty examples. */
const MAX_CONTEXT_BYTES = 256 * 1024 * 1024;

/** A classification or regression request. */
export interface RawInferenceRequest {
  readonly model: ModelReference | undefined;
  /** Serialized tf.Examples, each with the context merged in. */
  readonly examples: readonly Uint8Array[];
}

export interface RawInferenceTask {
  readonly model: ModelReference | undefined;
  readonly methodName: string;
}

export interface RawMultiInferenceRequest {
  readonly tasks: readonly RawInferenceTask[];
  readonly examples: readonly Uint8Array[];
}

/** Reads a ClassificationRequest or RegressionRequest, which have the same fields. Throws TENSOR_PROTO_MALFORMED. */
export function readInferenceRequest(bytes: Uint8Array): RawInferenceRequest {
  const reader = new WireReader(bytes);
  let spec: Uint8Array | undefined;
  let input: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.bytes)) spec = merged(spec, reader.readBytes());
    else if (tag === tagOf(2, WIRE.bytes)) input = merged(input, reader.readBytes());
    else reader.skip(tag);
  }
  return { model: spec && readModelSpec(spec), examples: input === undefined ? [] : readInput(input) };
}

/** Reads a MultiInferenceRequest. Throws TENSOR_PROTO_MALFORMED. */
export function readMultiInferenceRequest(bytes: Uint8Array): RawMultiInferenceRequest {
  const reader = new WireReader(bytes);
  const tasks: RawInferenceTask[] = [];
  let input: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.bytes)) tasks.push(readTask(reader.readBytes()));
    else if (tag === tagOf(2, WIRE.bytes)) input = merged(input, reader.readBytes());
    else reader.skip(tag);
  }
  return { tasks, examples: input === undefined ? [] : readInput(input) };
}

function readTask(bytes: Uint8Array): RawInferenceTask {
  const reader = new WireReader(bytes);
  let spec: Uint8Array | undefined;
  let methodName = "";
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.bytes)) spec = merged(spec, reader.readBytes());
    else if (tag === tagOf(2, WIRE.bytes)) methodName = reader.readString();
    else reader.skip(tag);
  }
  return { model: spec && readModelSpec(spec), methodName };
}

/** Of the two kinds of an Input the last one sent counts; parts of one kind merge. */
function readInput(bytes: Uint8Array): Uint8Array[] {
  const reader = new WireReader(bytes);
  let kind = 0;
  let list: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag !== tagOf(1, WIRE.bytes) && tag !== tagOf(2, WIRE.bytes)) {
      reader.skip(tag);
      continue;
    }
    list = merged(tag === kind ? list : undefined, reader.readBytes());
    kind = tag;
  }
  return list === undefined ? [] : readExamples(list);
}

/** The context goes in front: a field that the Example sets again wins, as it does when protobuf merges the two. */
function readExamples(bytes: Uint8Array): Uint8Array[] {
  const reader = new WireReader(bytes);
  const examples: Uint8Array[] = [];
  let context: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.bytes)) examples.push(reader.readBytes());
    else if (tag === tagOf(2, WIRE.bytes)) context = merged(context, reader.readBytes());
    else reader.skip(tag);
  }
  if (context === undefined) return examples;
  if (context.length * examples.length > MAX_CONTEXT_BYTES)
    throw malformedWire("the context is too large for so many examples");
  return examples.map((example) => merged(context, example));
}
