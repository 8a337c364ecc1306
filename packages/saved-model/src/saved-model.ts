import type {
  MetaGraphDef,
  SignatureDef,
  TensorInfo,
} from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { fault } from "./error.ts";
import { decodeMetaGraph } from "./graph/decode.ts";
import { EffectIndex } from "./graph/effects.ts";
import { type Graph, indexGraph } from "./graph/graph.ts";
import { liftControlFlow } from "./graph/lift.ts";
import { restoreCheckpoint, type TableContent, type Variables } from "./graph/restore.ts";
import { type Initialization, INIT_OP_SIGNATURE, readInitialization } from "./graph/initialization.ts";
import { lower } from "./lower/lower.ts";
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
  /** What the checkpoint says of hash tables, by the keys of their nodes. */
  readonly tables: ReadonlyMap<string, TableContent>;
  /** Keys of the variables that signatures or the initialisation assign. */
  readonly mutable: ReadonlySet<string>;
  readonly initialization: Initialization;
  readonly signatures: ReadonlyMap<string, Signature>;
}

/**
 * Reads a SavedModel: the meta graph with the tags `tags`, and all variables that its saver restores.
 *
 * @throws SavedModelError
 */
export function readSavedModel(files: ModelFiles, tags: readonly string[] = ["serve"]): SavedModel {
  const metaGraph = decodeMetaGraph(files, tags);
  const graph = liftControlFlow(indexGraph(metaGraph.graphDef));
  const signatures = signaturesOf(metaGraph);
  const initialization = readInitialization(metaGraph);
  const restored = restoreCheckpoint(graph, metaGraph, files);
  const model = { metaGraph, graph, ...restored, mutable: new Set<string>(), initialization, signatures };
  return { ...model, mutable: assignedVariables(model) };
}

/**
 * Reads the signatures of a SavedModel, and nothing else of it.
 *
 * @throws SavedModelError
 */
export function readSignatures(files: ModelFiles, tags: readonly string[] = ["serve"]): ReadonlyMap<string, Signature> {
  return signaturesOf(decodeMetaGraph(files, tags));
}

function signaturesOf({ signatureDef }: MetaGraphDef): ReadonlyMap<string, Signature> {
  const own = Object.entries(signatureDef).filter(([key]) => key !== INIT_OP_SIGNATURE);
  return new Map(own.map(([key, signature]) => [key, readSignature(key, signature)]));
}

/** Variables that no longer hold what the checkpoint says once the model runs. */
function assignedVariables(model: SavedModel): ReadonlySet<string> {
  const { assets, targets } = model.initialization;
  const effects = new EffectIndex(model.graph);
  const fetches = [...model.signatures.values()].map(({ outputs }) => [...outputs.values()].map(({ name }) => name));
  const assigned = new Set<string>();
  const trace = (names: readonly string[], nodes: readonly string[]): void => {
    if (!effects.isReached([...names, ...nodes])) return;
    const task = { feeds: [], given: assets, fetches: names, targets: nodes };
    for (const key of lower(model, task).assigned) assigned.add(key);
  };
  for (const names of fetches) trace(names, []);
  trace([], targets);
  return assigned;
}

/** Whether requests can change variables or tables of the model, so that one answer depends on those before. */
export function isStateful({ graph, signatures }: SavedModel): boolean {
  const names = [...signatures.values()].flatMap(({ outputs }) => [...outputs.values()].map(({ name }) => name));
  return new EffectIndex(graph).isReached(names);
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

/** A signature as the meta graph writes it; `key` is for errors. @throws SavedModelError GRAPH_MALFORMED */
export function readSignature(key: string, signature: SignatureDef): Signature {
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
