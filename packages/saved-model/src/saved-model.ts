import type {
  MetaGraphDef,
  SignatureDef,
  TensorInfo,
} from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { fault } from "./error.ts";
import { decodeMetaGraph } from "./graph/decode.ts";
import { type Graph, indexGraph } from "./graph/graph.ts";
import { restoreVariables, type Variables } from "./graph/restore.ts";
import type { ModelFiles } from "./model-files.ts";
import { decodeTensor } from "./tensor/decode.ts";
import { requireDType } from "./tensor/dtype.ts";
import { shapeOf } from "./tensor/shape.ts";

/** One tensor of a signature. */
export interface SignatureTensor {
  readonly name: string;
  readonly dtype: DType;
  /** -1 for an unknown dimension, `undefined` for unknown rank. */
  readonly shape: readonly number[] | undefined;
}

export interface Signature {
  readonly methodName: string;
  readonly inputs: ReadonlyMap<string, SignatureTensor>;
  readonly outputs: ReadonlyMap<string, SignatureTensor>;
  /** Values of inputs that a request may leave out; absent where there are none. */
  readonly defaults?: ReadonlyMap<string, Tensor>;
}

/** A SavedModel in memory: graph, function library, values of variables, signatures. */
export interface SavedModel {
  readonly metaGraph: MetaGraphDef;
  readonly graph: Graph;
  readonly variables: Variables;
  readonly signatures: ReadonlyMap<string, Signature>;
}

/** The signature with which a TF2 SavedModel names its initialisation; nobody can call it. */
const INIT_OP_SIGNATURE = "__saved_model_init_op";

/**
 * Reads a SavedModel: the meta graph with the tags `tags`, and all variables that its saver restores.
 *
 * @throws SavedModelError
 */
export function readSavedModel(files: ModelFiles, tags: readonly string[] = ["serve"]): SavedModel {
  const metaGraph = decodeMetaGraph(files, tags);
  const graph = indexGraph(metaGraph.graphDef);
  const signatures = new Map<string, Signature>();
  for (const [key, signature] of Object.entries(metaGraph.signatureDef)) {
    if (key !== INIT_OP_SIGNATURE) signatures.set(key, readSignature(key, signature));
  }
  return { metaGraph, graph, variables: restoreVariables(graph, metaGraph, files), signatures };
}

/** The signature of that name. @throws SavedModelError SIGNATURE_NOT_FOUND */
export function requireSignature(model: SavedModel, key: string): Signature {
  const signature = model.signatures.get(key);
  if (signature) return signature;
  const known = [...model.signatures.keys()].join(", ");
  throw fault(
    "SIGNATURE_NOT_FOUND",
    `the model has no signature ${key}`,
    `it has ${known || "none"}`,
    "name one of them",
  );
}

function readSignature(key: string, signature: SignatureDef): Signature {
  const tensors = (map: Readonly<Record<string, TensorInfo>>): ReadonlyMap<string, SignatureTensor> =>
    new Map(Object.entries(map).map(([alias, info]) => [alias, readTensorInfo(`${key}/${alias}`, info)]));
  const defaults = Object.entries(signature.defaults).map(
    ([alias, proto]) => [alias, decodeTensor(proto, `the default of ${key}/${alias}`)] as const,
  );
  return {
    methodName: signature.methodName,
    inputs: tensors(signature.inputs),
    outputs: tensors(signature.outputs),
    ...(defaults.length > 0 && { defaults: new Map(defaults) }),
  };
}

function readTensorInfo(where: string, info: TensorInfo): SignatureTensor {
  if (info.encoding.case !== "name") {
    throw fault(
      "GRAPH_MALFORMED",
      `the tensor ${where} is sparse or composite`,
      "requests carry dense tensors",
      "export a dense signature",
    );
  }
  return { name: info.encoding.value, dtype: requireDType(info.dtype, where), shape: shapeOf(info.tensorShape) };
}
