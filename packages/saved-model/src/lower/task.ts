import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { Graph } from "../graph/graph.ts";
import type { ComplexVariables, Variables } from "../graph/restore.ts";
import type { MixedGraph } from "../onnx/model.ts";
import type { MissingOp } from "./missing-op.ts";
import type { Shape } from "./value.ts";

/** A tensor that requests give. */
export interface Feed {
  /** Its name in the ONNX graph. */
  readonly name: string;
  /** Any tensor of the graph (`x:0`), not only a placeholder's. */
  readonly tensor: string;
  readonly dtype: DType;
  /** What may be relied on; -1 and `undefined` leave sizes and rank open. */
  readonly shape: Shape;
}

/** A part of a graph in ONNX's operators and host calls. */
export interface Lowered {
  readonly graph: MixedGraph;
  /** Where each fetched tensor is, by its name in the graph (`y:0`). */
  readonly fetches: ReadonlyMap<string, { readonly name: string; readonly dtype: DType; readonly shape: Shape }>;
  /** What stand-in nodes (`MISSING_OP`) stand for, by the name of their output. Pruning shows which of them matter. */
  readonly missing: ReadonlyMap<string, MissingOp>;
  /** Outputs of calls that change the model's state: they are made whatever is fetched. */
  readonly effects: readonly string[];
  /** Keys of the variables that the graph assigns. */
  readonly assigned: ReadonlySet<string>;
  /** Types of the values that cross between ONNX and the host. */
  readonly types: ReadonlyMap<string, { readonly dtype: DType; readonly shape: Shape }>;
}

/** What of a model a part of its graph is lowered against. */
export interface LoweringContext {
  readonly graph: Graph;
  readonly variables: Variables;
  readonly complexVariables: ComplexVariables;
  /** Keys of the variables that change while the model runs; all others are constants. */
  readonly mutable: ReadonlySet<string>;
}

/** What is lowered. */
export interface LoweringTask {
  readonly feeds: readonly Feed[];
  /** Tensors with a known value, by name; the file names of assets are such. */
  readonly given: ReadonlyMap<string, Tensor>;
  /** Tensors to compute, by name. */
  readonly fetches: readonly string[];
  /** Nodes to run for their effects. */
  readonly targets: readonly string[];
}
