import type {
  MetaGraphDef,
  SignatureDef,
  TensorInfo,
} from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { fault } from "./error.ts";
import { decodeMetaGraph } from "./graph/decode.ts";
import { EffectIndex } from "./graph/effects.ts";
import { type Graph, indexGraph } from "./graph/graph.ts";
import { liftControlFlow } from "./graph/lift.ts";
import { type ComplexVariables, restoreCheckpoint, type TableContent, type Variables } from "./graph/restore.ts";
import { type Initialization, INIT_OP_SIGNATURE, readInitialization } from "./graph/initialization.ts";
import { lower } from "./lower/lower.ts";
import type { MissingOp } from "./lower/missing-op.ts";
import type { ModelFiles } from "./model-files.ts";
import { decodeTensor } from "./tensor/decode.ts";
import { dtypeOf, requireDType } from "./tensor/dtype.ts";
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
  /** Tensors that no request or answer can carry, so that the signature cannot run; absent where there are none. */
  readonly unfit?: readonly MissingOp[];
}

/** A SavedModel in memory: graph, function library, values of variables, signatures. */
export interface SavedModel {
  readonly metaGraph: MetaGraphDef;
  readonly graph: Graph;
  readonly variables: Variables;
  readonly complexVariables: ComplexVariables;
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
 * Reads the signatures of a SavedModel and its initialisation, and nothing else of it.
 *
 * @throws SavedModelError
 */
export function readSignatures(
  files: ModelFiles,
  tags: readonly string[] = ["serve"],
): Pick<SavedModel, "signatures" | "initialization"> {
  const metaGraph = decodeMetaGraph(files, tags);
  return { signatures: signaturesOf(metaGraph), initialization: readInitialization(metaGraph) };
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

/** A signature as the meta graph writes it; `key` is for errors. @throws SavedModelError TENSOR_MALFORMED for a default */
export function readSignature(key: string, signature: SignatureDef): Signature {
  const unfit: MissingOp[] = [];
  const tensors = (map: Readonly<Record<string, TensorInfo>>, what: string): ReadonlyMap<string, SignatureTensor> => {
    const entries = Object.entries(map).flatMap(([alias, info]) => {
      const reason = unfitReason(info);
      if (reason === undefined) return [[alias, readTensorInfo(`${key}/${alias}`, info)] as const];
      unfit.push({ op: `the signature's ${what} ${alias}`, node: nameOf(info) ?? alias, reason });
      return [];
    });
    return new Map(entries);
  };
  const defaults = Object.entries(signature.defaults).map(
    ([alias, proto]) => [alias, decodeTensor(proto, `the default of ${key}/${alias}`)] as const,
  );
  return {
    methodName: signature.methodName,
    inputs: tensors(signature.inputs, "input"),
    outputs: tensors(signature.outputs, "output"),
    ...(defaults.length > 0 && { defaults: new Map(defaults) }),
    ...(unfit.length > 0 && { unfit }),
  };
}

function nameOf({ encoding }: TensorInfo): string | undefined {
  return encoding.case === "name" ? encoding.value : undefined;
}

/** Why a request or an answer cannot carry the tensor; `undefined` where it can. */
function unfitReason(info: TensorInfo): string | undefined {
  if (nameOf(info) === undefined) return "it is sparse or composite, and requests carry dense tensors";
  if (dtypeOf(info.dtype) !== undefined) return undefined;
  const name = (DataType[info.dtype] ?? String(info.dtype)).toLowerCase();
  return `it is ${name.replace(/^dt_/, "")}, a dtype that requests do not carry here`;
}

function readTensorInfo(where: string, info: TensorInfo): SignatureTensor {
  return { name: nameOf(info) ?? "", dtype: requireDType(info.dtype, where), shape: shapeOf(info.tensorShape) };
}
