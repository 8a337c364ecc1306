import type { MissingOp } from "./lower/missing-op.ts";
import type { ModelFiles } from "./model-files.ts";
import { SignatureProgram } from "./program.ts";
import { readSavedModel, type Signature } from "./saved-model.ts";

export interface InspectedSignature {
  readonly key: string;
  readonly signature: Signature;
  /** What keeps the embedded engine from running it; empty where it can. */
  readonly missing: readonly MissingOp[];
}

export interface Inspection {
  readonly signatures: readonly InspectedSignature[];
  /** How often each op occurs, in the graph and in the bodies of its functions, the most frequent first. */
  readonly ops: ReadonlyMap<string, number>;
  readonly nodeCount: number;
  readonly functionCount: number;
  readonly variableCount: number;
  readonly variableBytes: number;
  readonly bytes: number;
  /** The TensorFlow that wrote the model, "" where it does not say. */
  readonly tensorflowVersion: string;
  /** Whether the embedded engine can run every signature. */
  readonly isRunnable: boolean;
}

/** What there is to say about a SavedModel. @throws SavedModelError where it cannot be read */
export function inspectModel(files: ModelFiles): Inspection {
  const model = readSavedModel(files);
  const signatures = [...model.signatures].map(([key, signature]) => ({
    key,
    signature,
    missing: new SignatureProgram(model, key, "declared").missing(),
  }));
  const { graphDef } = model.metaGraph;
  const nodes = [...(graphDef?.node ?? []), ...(graphDef?.library?.function ?? []).flatMap(({ nodeDef }) => nodeDef)];
  const variables = [...model.variables.values()];
  return {
    signatures,
    ops: histogram(nodes.map(({ op }) => op)),
    nodeCount: nodes.length,
    functionCount: model.graph.functions.size,
    variableCount: variables.length,
    variableBytes: variables.reduce((sum, { data }) => sum + ("byteLength" in data ? data.byteLength : 0), 0),
    bytes: [...files.values()].reduce((sum, file) => sum + file.length, 0),
    tensorflowVersion: model.metaGraph.metaInfoDef?.tensorflowVersion ?? "",
    isRunnable: signatures.length > 0 && signatures.every(({ missing }) => missing.length === 0),
  };
}

function histogram(ops: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const op of ops) counts.set(op, (counts.get(op) ?? 0) + 1);
  return new Map([...counts].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)));
}
