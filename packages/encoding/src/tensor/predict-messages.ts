/** PredictRequest and PredictResponse on raw bytes: tensors stay views until they are asked for. (apis/predict.proto) */
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { Int64ValueSchema } from "@bufbuild/protobuf/wkt";
import { concatBytes, utf8 } from "../bytes.ts";
import { type ModelSpec, ModelSpecSchema } from "../gen/tensorflow_serving/apis/model_pb.js";
import { fieldLength, malformedWire, tagOf, WIRE, WireReader, WireWriter } from "../protobuf/protobuf-wire.ts";
import type { Tensor } from "./tensor.ts";
import { type SizedTensor, sizeTensor, type TensorEncoding } from "./proto-writer.ts";

/** Which model, version and signature a call is about. */
export interface ModelReference {
  readonly name: string;
  /** Neither version nor label: the latest available version. */
  readonly version?: bigint;
  readonly versionLabel?: string;
  /** Empty: "serving_default". */
  readonly signatureName: string;
}

export interface RawPredictRequest {
  readonly model: ModelReference | undefined;
  /** Alias to serialized TensorProto, a view of the request. Of equal aliases the last counts. */
  readonly inputs: ReadonlyMap<string, Uint8Array>;
  readonly outputFilter: readonly string[];
}

export interface RawPredictResponse {
  readonly model: ModelReference | undefined;
  readonly outputs: ReadonlyMap<string, Uint8Array>;
}

/** Reads a request; its tensors are read one by one with `readTensorProto`. Throws TENSOR_PROTO_MALFORMED. */
export function readPredictRequest(bytes: Uint8Array): RawPredictRequest {
  const reader = new WireReader(bytes);
  const inputs = new Map<string, Uint8Array>();
  const outputFilter: string[] = [];
  let spec: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.bytes)) spec = merged(spec, reader.readBytes());
    else if (tag === tagOf(2, WIRE.bytes)) readEntry(reader.readBytes(), inputs);
    else if (tag === tagOf(3, WIRE.bytes)) outputFilter.push(reader.readString());
    else reader.skip(tag);
  }
  return { model: spec && readModelSpec(spec), inputs, outputFilter };
}

/** Reads a response; its tensors are read one by one with `readTensorProto`. Throws TENSOR_PROTO_MALFORMED. */
export function readPredictResponse(bytes: Uint8Array): RawPredictResponse {
  const reader = new WireReader(bytes);
  const outputs = new Map<string, Uint8Array>();
  let spec: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(2, WIRE.bytes)) spec = merged(spec, reader.readBytes());
    else if (tag === tagOf(1, WIRE.bytes)) readEntry(reader.readBytes(), outputs);
    else reader.skip(tag);
  }
  return { model: spec && readModelSpec(spec), outputs };
}

export interface PredictRequestParts {
  readonly model: ModelReference;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputFilter?: readonly string[];
}

/** Serializes a request. The first `headroom` bytes of the result are left free for the caller's prefix. */
export function writePredictRequest(
  request: PredictRequestParts,
  encoding: TensorEncoding = "content",
  headroom = 0,
): Uint8Array {
  const spec = toBinary(ModelSpecSchema, toModelSpec(request.model));
  const filter = (request.outputFilter ?? []).map(utf8);
  const entries = sizeEntries(request.inputs, encoding);
  const filterLength = filter.reduce((sum, alias) => sum + fieldLength(3, alias.length), 0);
  const writer = new WireWriter(fieldLength(1, spec.length) + entriesLength(entries, 2) + filterLength, headroom);
  writer.field(1, spec);
  writeEntries(writer, entries, 2);
  for (const alias of filter) writer.field(3, alias);
  return writer.bytes;
}

export interface PredictResponseParts {
  readonly model: ModelReference;
  readonly outputs: ReadonlyMap<string, Tensor>;
}

/** Serializes a response. The first `headroom` bytes of the result are left free for the caller's prefix. */
export function writePredictResponse(
  response: PredictResponseParts,
  encoding: TensorEncoding = "values",
  headroom = 0,
): Uint8Array {
  const spec = toBinary(ModelSpecSchema, toModelSpec(response.model));
  const entries = sizeEntries(response.outputs, encoding);
  const writer = new WireWriter(entriesLength(entries, 1) + fieldLength(2, spec.length), headroom);
  // The order of fields is free. A lone output stands last, where readers of aligned messages can use it as it lies.
  writer.field(2, spec);
  writeEntries(writer, entries, 1);
  return writer.bytes;
}

/** A generated ModelSpec as the reference that the rest of the code passes. */
export function fromModelSpec(spec: ModelSpec): ModelReference {
  const { name, signatureName, versionChoice } = spec;
  if (versionChoice.case === "version") return { name, signatureName, version: versionChoice.value.value };
  if (versionChoice.case === "versionLabel") return { name, signatureName, versionLabel: versionChoice.value };
  return { name, signatureName };
}

export function toModelSpec(model: ModelReference): ModelSpec {
  const { name, signatureName, version, versionLabel } = model;
  const base = { name, signatureName };
  if (version !== undefined) {
    const value = create(Int64ValueSchema, { value: version });
    return create(ModelSpecSchema, { ...base, versionChoice: { case: "version", value } });
  }
  if (versionLabel !== undefined) {
    return create(ModelSpecSchema, { ...base, versionChoice: { case: "versionLabel", value: versionLabel } });
  }
  return create(ModelSpecSchema, base);
}

/** A message that comes in two parts is the merge of both, which is the concatenation of their bytes. */
export function merged(before: Uint8Array | undefined, more: Uint8Array): Uint8Array {
  return before === undefined ? more : concatBytes(before, more);
}

/** Reads a serialized ModelSpec. Throws TENSOR_PROTO_MALFORMED. */
export function readModelSpec(bytes: Uint8Array): ModelReference {
  try {
    return fromModelSpec(fromBinary(ModelSpecSchema, bytes));
  } catch {
    throw malformedWire("the model_spec cannot be read");
  }
}

function readEntry(bytes: Uint8Array, entries: Map<string, Uint8Array>): void {
  const reader = new WireReader(bytes);
  let key = "";
  let value: Uint8Array | undefined;
  while (!reader.atEnd) {
    const tag = reader.readTag();
    if (tag === tagOf(1, WIRE.bytes)) key = reader.readString();
    else if (tag === tagOf(2, WIRE.bytes)) value = merged(value, reader.readBytes());
    else reader.skip(tag);
  }
  entries.set(key, value ?? new Uint8Array(0));
}

interface SizedEntry {
  readonly key: Uint8Array;
  readonly tensor: SizedTensor;
  readonly length: number;
}

function sizeEntries(tensors: ReadonlyMap<string, Tensor>, encoding: TensorEncoding): SizedEntry[] {
  return [...tensors].map(([alias, value]) => {
    const key = utf8(alias);
    const tensor = sizeTensor(value, encoding);
    return { key, tensor, length: fieldLength(1, key.length) + fieldLength(2, tensor.length) };
  });
}

function entriesLength(entries: readonly SizedEntry[], field: number): number {
  return entries.reduce((sum, entry) => sum + fieldLength(field, entry.length), 0);
}

function writeEntries(writer: WireWriter, entries: readonly SizedEntry[], field: number): void {
  for (const { key, tensor, length } of entries) {
    writer.varint(tagOf(field, WIRE.bytes));
    writer.varint(length);
    writer.field(1, key);
    writer.varint(tagOf(2, WIRE.bytes));
    writer.varint(tensor.length);
    tensor.write(writer);
  }
}
