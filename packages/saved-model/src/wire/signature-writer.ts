// Field numbers: saved_model.proto, meta_graph.proto, tensor_shape.proto.

import type { Signature, SignatureTensor } from "../saved-model.ts";
import { DTYPES } from "../tensor/dtype.ts";
import { ProtoWriter } from "./proto-writer.ts";

export interface SavedModelParts {
  /** An encoded GraphDef; it goes into the file as it is. */
  readonly graphDef: Uint8Array;
  readonly tags: readonly string[];
  readonly signatures: ReadonlyMap<string, Signature>;
}

/** A `saved_model.pb` with one meta graph. */
export function encodeSavedModel({ graphDef, tags, signatures }: SavedModelParts): Uint8Array {
  const info = new ProtoWriter();
  for (const tag of tags) info.string(4, tag);
  const metaGraph = new ProtoWriter().message(1, info).bytes(2, graphDef);
  for (const [key, signature] of signatures) metaGraph.message(5, mapEntry(key, encodeSignature(signature)));
  return new ProtoWriter().int(1, 1).message(2, metaGraph).finish();
}

function mapEntry(key: string, value: ProtoWriter): ProtoWriter {
  return new ProtoWriter().string(1, key).message(2, value);
}

function encodeSignature({ inputs, outputs, methodName }: Signature): ProtoWriter {
  const writer = new ProtoWriter();
  for (const [alias, tensor] of inputs) writer.message(1, mapEntry(alias, encodeTensorInfo(tensor)));
  for (const [alias, tensor] of outputs) writer.message(2, mapEntry(alias, encodeTensorInfo(tensor)));
  return writer.string(3, methodName);
}

function encodeTensorInfo({ name, dtype, shape }: SignatureTensor): ProtoWriter {
  return new ProtoWriter().string(1, name).int(2, DTYPES[dtype].number).message(3, encodeShape(shape));
}

/** A TensorShapeProto; `undefined` is unknown rank. */
export function encodeShape(shape: readonly number[] | undefined): ProtoWriter {
  const writer = new ProtoWriter();
  if (!shape) return writer.int(3, 1);
  for (const size of shape) writer.message(2, new ProtoWriter().int(1, size));
  return writer;
}
