// A graph model of TensorFlow.js is a GraphDef as JSON, whose constants lie in files beside it: model.json and *.bin.

import { create, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { AttrValueSchema } from "@cloister/encoding/gen/tensorflow/core/framework/attr_value_pb";
import { type GraphDef, GraphDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/graph_pb";
import { type TensorProto, TensorProtoSchema } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { SignatureDefSchema } from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import { fault } from "../error.ts";
import { indexGraph, parseGraphEdge } from "../graph/graph.ts";
import type { ModelFiles } from "../model-files.ts";
import { readSignature, type Signature } from "../saved-model.ts";
import {
  encodeImported,
  frozenGraphCandidates,
  type ImportedModel,
  importFrozenGraph,
  type ImportOptions,
  PREDICT_METHOD,
} from "./import-frozen-graph.ts";

interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: { readonly dtype: string; readonly scale?: number; readonly min?: number };
}

interface ModelJson {
  readonly modelTopology?: { readonly node?: readonly unknown[] } & Readonly<Record<string, unknown>>;
  readonly weightsManifest?: readonly { readonly paths: readonly string[]; readonly weights: readonly WeightSpec[] }[];
  readonly signature?: JsonValue;
  readonly userDefinedMetadata?: { readonly signature?: JsonValue };
  readonly modelInitializer?: unknown;
}

/** The weight files that a `model.json` needs, by the paths that it names. @throws SavedModelError PROTO_MALFORMED */
export function tfjsWeightPaths(modelJson: Uint8Array): string[] {
  return (parse(modelJson).weightsManifest ?? []).flatMap(({ paths }) => paths);
}

/**
 * Makes a SavedModel of a TensorFlow.js graph model: `modelJson` and its weight files by `tfjsWeightPaths`. Quantised weights are
 * written out in full. The signature is the model's own where `options` name no inputs and outputs.
 *
 * @throws SavedModelError PROTO_MALFORMED, FILE_MISSING, and as `importFrozenGraph`
 */
export function importTfjsGraph(
  modelJson: Uint8Array,
  weights: ModelFiles,
  options: ImportOptions = {},
): ImportedModel {
  const model = parse(modelJson);
  const graphDef = readTopology(model);
  fillConstants(graphDef, model, weights);
  const bytes = toBinary(GraphDefSchema, graphDef);
  const own = signatureOf(model, graphDef);
  if (own && !options.inputs && !options.outputs) return encodeImported(bytes, own, options);
  const candidates = frozenGraphCandidates(indexGraph(graphDef));
  return importFrozenGraph(bytes, { inputs: candidates.inputs, outputs: candidates.outputs, ...options });
}

function malformed(why: string, cause?: unknown): Error {
  return fault("PROTO_MALFORMED", "model.json cannot be used", why, "give a graph model of TensorFlow.js", cause);
}

function parse(bytes: Uint8Array): ModelJson {
  try {
    const model: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof model === "object" && model !== null) return model;
  } catch (cause) {
    throw malformed("it is no JSON text", cause);
  }
  throw malformed("it is no JSON object");
}

function readTopology({ modelTopology, modelInitializer }: ModelJson): GraphDef {
  if (!Array.isArray(modelTopology?.node)) throw malformed("it holds no graph: it may be a layers model");
  if (modelInitializer !== undefined) throw malformed("it fills hash tables when it is loaded");
  const { node, library, versions } = modelTopology;
  try {
    const json = { node: node.map(withTextBytes), library, versions } as unknown as JsonValue;
    return fromJson(GraphDefSchema, dropUndefined(json), { ignoreUnknownFields: true });
  } catch (cause) {
    throw malformed("its graph is not valid", cause);
  }
}

function dropUndefined(json: JsonValue): JsonValue {
  return Object.fromEntries(Object.entries(json as object).filter(([, value]) => value !== undefined));
}

/** Older converters write the bytes of string attributes as lists of character codes instead of base64. */
function withTextBytes(node: unknown): unknown {
  const { attr, ...rest } = node as { attr?: Readonly<Record<string, { s?: unknown }>> };
  if (!attr) return node;
  const convert = (value: { s?: unknown }): unknown =>
    Array.isArray(value.s) ? { ...value, s: Buffer.from(value.s as number[]).toString("base64") } : value;
  return { ...rest, attr: Object.fromEntries(Object.entries(attr).map(([name, value]) => [name, convert(value)])) };
}

const DTYPE_NUMBERS: Readonly<Record<string, DataType>> = {
  bool: DataType.DT_BOOL,
  float32: DataType.DT_FLOAT,
  int32: DataType.DT_INT32,
  string: DataType.DT_STRING,
};

/** What the weights say of dtype and shape holds: converters fold constants without telling the node. */
function fillConstants(graphDef: GraphDef, model: ModelJson, files: ModelFiles): void {
  const tensors = new Map<string, TensorProto>();
  for (const { paths, weights } of model.weightsManifest ?? []) {
    const reader = new WeightReader(concatenated(paths, files));
    for (const spec of weights) tensors.set(spec.name, tensorOf(spec, reader.read(spec)));
  }
  for (const { name, op, attr } of graphDef.node) {
    const tensor = op === "Const" ? tensors.get(name) : undefined;
    if (!tensor) continue;
    attr["value"] = create(AttrValueSchema, { value: { case: "tensor", value: tensor } });
    attr["dtype"] = create(AttrValueSchema, { value: { case: "type", value: tensor.dtype } });
  }
}

function tensorOf({ name, shape, dtype }: WeightSpec, content: Uint8Array | Uint8Array[]): TensorProto {
  const number = Object.hasOwn(DTYPE_NUMBERS, dtype) ? DTYPE_NUMBERS[dtype] : undefined;
  if (number === undefined) throw malformed(`the weights ${name} are of ${dtype}`);
  return create(TensorProtoSchema, {
    dtype: number,
    tensorShape: { dim: shape.map((size) => ({ size: BigInt(size) })) },
    ...(Array.isArray(content) ? { stringVal: content } : { tensorContent: content }),
  });
}

function concatenated(paths: readonly string[], files: ModelFiles): Uint8Array {
  const parts = paths.map((path) => {
    const part = files.get(path);
    if (part) return part;
    throw fault("FILE_MISSING", `the weight file ${path} is missing`, "model.json names it", "keep all files together");
  });
  return parts.length === 1 ? (parts[0] as Uint8Array) : new Uint8Array(Buffer.concat(parts));
}

const BYTES: Readonly<Record<string, number>> = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 };

/** Reads weights one after the other. */
class WeightReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Little-endian content as TensorFlow has it, or the strings. */
  read({ name, shape, dtype, quantization }: WeightSpec): Uint8Array | Uint8Array[] {
    const count = shape.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(count) || count < 0) throw malformed(`the weights ${name} have an impossible shape`);
    if (dtype === "string")
      return Array.from({ length: Math.min(count, this.#bytes.length) }, () => this.#string(name));
    const stored = quantization?.dtype ?? dtype;
    const size = BYTES[stored];
    if (size === undefined) throw malformed(`the weights ${name} are of ${stored}`);
    const raw = this.#take(count * size, name);
    return quantization ? dequantized(raw, stored, dtype, quantization) : raw;
  }

  #string(name: string): Uint8Array {
    const length = this.#take(4, name);
    return this.#take(new DataView(length.buffer, length.byteOffset, 4).getUint32(0, true), name);
  }

  #take(length: number, name: string): Uint8Array {
    const part = this.#bytes.subarray(this.#offset, this.#offset + length);
    if (part.length !== length) throw malformed(`the weight files end before ${name}`);
    this.#offset += length;
    return part;
  }
}

function dequantized(
  raw: Uint8Array,
  stored: string,
  dtype: string,
  { scale = 1, min = 0 }: { readonly scale?: number; readonly min?: number },
): Uint8Array {
  const aligned = new Uint8Array(raw);
  let values: Float32Array;
  if (stored === "float16") values = Float32Array.from(new Float16Array(aligned.buffer));
  else {
    const codes = stored === "uint8" ? aligned : new Uint16Array(aligned.buffer);
    values = Float32Array.from(codes, (code) => code * scale + min);
  }
  const result = dtype === "int32" ? Int32Array.from(values, Math.round) : values;
  return new Uint8Array(result.buffer);
}

/** The signature that the converter wrote down, if its tensors are all in the graph. */
function signatureOf({ signature, userDefinedMetadata }: ModelJson, graphDef: GraphDef): Signature | undefined {
  const json = signature ?? userDefinedMetadata?.signature;
  if (json === undefined) return undefined;
  let own: Signature;
  try {
    own = readSignature("signature", fromJson(SignatureDefSchema, json, { ignoreUnknownFields: true }));
  } catch {
    return undefined;
  }
  const nodes = new Set(graphDef.node.map(({ name }) => name));
  const tensors = [...own.inputs.values(), ...own.outputs.values()];
  const isWhole = own.outputs.size > 0 && tensors.every(({ name }) => nodes.has(parseGraphEdge(name).node));
  return isWhole ? { ...own, methodName: own.methodName || PREDICT_METHOD } : undefined;
}
