// Field numbers: onnx.proto (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto), IR version 8.

import { DTYPES } from "../tensor/dtype.ts";
import { ProtoWriter } from "../wire/proto-writer.ts";
import type { OnnxModel } from "../program-steps.ts";
import type { OnnxAttribute, OnnxGraph, OnnxInitializer, OnnxNode, OnnxValueInfo } from "./model.ts";

/** Operator set and IR version of every lowered graph. */
const OPSET = 17;
const IR_VERSION = 8;

const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, graph: 5, floats: 6, ints: 7 } as const;

/** Constants of at least as many bytes stay out of the message. Smaller ones may be shapes, which ONNX Runtime reasons about. */
const MIN_WEIGHTS_BYTES = 4096;

/** `TensorProto.DataLocation.EXTERNAL` */
const EXTERNAL = 1;

/** Large constants are not copied: a message with them in it would have to be written, and read again by ONNX Runtime. */
export function encodeOnnxModel(graph: OnnxGraph): OnnxModel {
  const weights = new Map<string, Uint8Array>();
  const opset = new ProtoWriter().string(1, "").int(2, OPSET);
  // ONNX Runtime's own operators have one set.
  const contributed = new ProtoWriter().string(1, "com.microsoft").int(2, 1);
  const message = new ProtoWriter()
    .int(1, IR_VERSION)
    .string(2, "cloister")
    .message(7, encodeGraph(graph, weights))
    .message(8, opset)
    .message(8, contributed)
    .finish();
  return { graph: message, weights };
}

/** @param weights takes the large constants; without it they are written into the message */
function encodeGraph(graph: OnnxGraph, weights?: Map<string, Uint8Array>): ProtoWriter {
  const writer = new ProtoWriter();
  for (const node of graph.nodes) writer.message(1, encodeNode(node));
  writer.string(2, "graph");
  for (const [name, tensor] of graph.initializers) writer.message(5, encodeTensor(name, tensor, weights));
  for (const input of graph.inputs) writer.message(11, encodeValueInfo(input));
  for (const output of graph.outputs) writer.message(12, encodeValueInfo(output));
  return writer;
}

function encodeNode(node: OnnxNode): ProtoWriter {
  const writer = new ProtoWriter();
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(4, node.op);
  if (node.domain !== undefined) writer.string(7, node.domain);
  for (const [name, value] of Object.entries(node.attributes)) writer.message(5, encodeAttribute(name, value));
  for (const [name, graph] of Object.entries(node.subgraphs ?? {})) {
    const attribute = new ProtoWriter().string(1, name).message(6, encodeGraph(graph)).int(20, ATTRIBUTE_TYPE.graph);
    writer.message(5, attribute);
  }
  return writer;
}

function encodeAttribute(name: string, value: OnnxAttribute): ProtoWriter {
  const writer = new ProtoWriter().string(1, name);
  if (typeof value === "number") return writer.int(3, value).int(20, ATTRIBUTE_TYPE.int);
  if (typeof value === "string") return writer.string(4, value).int(20, ATTRIBUTE_TYPE.string);
  if ("float" in value) return writer.float(2, value.float).int(20, ATTRIBUTE_TYPE.float);
  if ("floats" in value) {
    for (const item of value.floats) writer.float(7, item);
    return writer.int(20, ATTRIBUTE_TYPE.floats);
  }
  for (const item of value) writer.int(8, item);
  return writer.int(20, ATTRIBUTE_TYPE.ints);
}

function encodeTensor(
  name: string,
  { dtype, shape, make }: OnnxInitializer,
  weights: Map<string, Uint8Array> | undefined,
): ProtoWriter {
  const writer = new ProtoWriter().packedInts(1, shape).int(2, DTYPES[dtype].onnx).string(8, name);
  if (dtype === "string") {
    for (const item of make().data as readonly Uint8Array[]) writer.bytes(6, item);
    return writer;
  }
  const { buffer, byteOffset, byteLength } = make().data as Uint8Array;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  if (!weights || byteLength < MIN_WEIGHTS_BYTES) return writer.bytes(9, bytes);
  weights.set(name, bytes);
  const entry = (key: string, value: string): ProtoWriter => new ProtoWriter().string(1, key).string(2, value);
  return writer
    .message(13, entry("location", name))
    .message(13, entry("length", String(byteLength)))
    .int(14, EXTERNAL);
}

function encodeValueInfo({ name, dtype, shape, isSequence }: OnnxValueInfo): ProtoWriter {
  const tensorType = new ProtoWriter().int(1, DTYPES[dtype].onnx);
  if (shape && !isSequence) {
    const dimensions = new ProtoWriter();
    shape.forEach((size, axis) => {
      // Each unknown dimension gets its own symbol: nothing may be assumed about two of them being equal.
      const dimension = size >= 0 ? new ProtoWriter().int(1, size) : new ProtoWriter().string(2, `${name}_${axis}`);
      dimensions.message(1, dimension);
    });
    tensorType.message(2, dimensions);
  }
  const type = new ProtoWriter().message(1, tensorType);
  const whole = isSequence ? new ProtoWriter().message(4, new ProtoWriter().message(1, type)) : type;
  return new ProtoWriter().string(1, name).message(2, whole);
}
