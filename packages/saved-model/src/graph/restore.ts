import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { MetaGraphDef } from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import type { Tensor } from "@cloister/encoding/tensor";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { TensorBundle } from "../bundle/tensor-bundle.ts";
import { fault } from "../error.ts";
import type { ComplexTensor } from "../tensor/decode.ts";
import type { ModelFiles } from "../model-files.ts";
import { Attributes } from "./attributes.ts";
import { type Graph, isControl } from "./graph.ts";
import { Budget, type Outputs, type Scope, Tracer } from "./tracer.ts";

/** Values of variables by their key, see `variableKey`. */
export type Variables = ReadonlyMap<string, Tensor>;

/** Values of variables of complex numbers. */
export type ComplexVariables = ReadonlyMap<string, ComplexTensor>;

/** What a hash table holds. */
export interface TableContent {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** What a checkpoint holds, by `variableKey`. */
export interface Restored {
  readonly variables: Variables;
  readonly complexVariables: ComplexVariables;
  readonly tables: ReadonlyMap<string, TableContent>;
}

const VARIABLES_PREFIX = "variables/variables";
const VARIABLE_OPS: ReadonlySet<string> = new Set(["VarHandleOp", "VariableV2", "Variable"]);
/** Ops that make a table's handle. */
export const TABLE_OPS: ReadonlySet<string> = new Set([
  "HashTable",
  "HashTableV2",
  "MutableDenseHashTable",
  "MutableDenseHashTableV2",
  "MutableHashTable",
  "MutableHashTableOfTensors",
  "MutableHashTableOfTensorsV2",
  "MutableHashTableV2",
]);
const RESTORED_OPS: ReadonlySet<string> = new Set([
  "Assign",
  "AssignVariableOp",
  "LookupTableImport",
  "LookupTableImportV2",
]);
export const CALL_OPS: ReadonlySet<string> = new Set(["StatefulPartitionedCall", "PartitionedCall"]);

/** What makes two variable nodes the same variable: container and shared name (the node's own name where it is empty). */
export function variableKey(node: NodeDef): string {
  const attributes = new Attributes(node);
  return `${attributes.string("container", "")}/${attributes.string("shared_name", "") || node.name}`;
}

/**
 * Values of all variables and tables, found by running the saver's restore operation symbolically: it says which stored tensor goes to
 * which variable, for TF1 reference variables, TF1 resource variables and TF2 restore functions alike.
 */
export function restoreCheckpoint(graph: Graph, metaGraph: MetaGraphDef, files: ModelFiles): Restored {
  const nothing: Restored = { variables: new Map(), complexVariables: new Map(), tables: new Map() };
  const { restoreOpName = "", filenameTensorName = "" } = metaGraph.saverDef ?? {};
  if (restoreOpName === "") return nothing;
  // A SavedModel without variables may have a saver all the same, and no variables directory.
  if (!files.has(`${VARIABLES_PREFIX}.index`) && ![...graph.nodes.values()].some(({ op }) => VARIABLE_OPS.has(op))) {
    return nothing;
  }
  return new RestoreTracer(graph, files).run(restoreOpName, filenameTensorName);
}

type RestoreValue =
  | { readonly kind: "tensor"; readonly read: () => Tensor; readonly readComplex?: () => ComplexTensor | undefined }
  | { readonly kind: "variable" | "table"; readonly key: string }
  | { readonly kind: "unknown" };

const UNKNOWN: RestoreValue = { kind: "unknown" };

class RestoreTracer extends Tracer<RestoreValue> {
  readonly #bundle: TensorBundle;
  readonly #variables = new Map<string, Tensor>();
  readonly #complexVariables = new Map<string, ComplexTensor>();
  readonly #tables = new Map<string, TableContent>();

  constructor(graph: Graph, files: ModelFiles) {
    super(graph, { followControl: true, budget: new Budget() });
    this.#bundle = TensorBundle.open(files, VARIABLES_PREFIX);
  }

  run(restoreOp: string, filenameTensor: string): Restored {
    const prefix: Tensor = { dtype: "string", shape: [], data: [utf8(VARIABLES_PREFIX)] };
    const fed = new Map<string, RestoreValue>([[filenameTensor, { kind: "tensor", read: () => prefix }]]);
    const scope = this.topScope(fed);
    this.evaluate(scope, scope.parse(restoreOp).node);
    return { variables: this.#variables, complexVariables: this.#complexVariables, tables: this.#tables };
  }

  protected override visit(
    node: NodeDef,
    inputs: readonly RestoreValue[],
    scope: Scope<RestoreValue>,
  ): Outputs<RestoreValue> {
    const [first = UNKNOWN] = inputs;
    if (VARIABLE_OPS.has(node.op)) return () => ({ kind: "variable", key: variableKey(node) });
    if (TABLE_OPS.has(node.op)) return () => ({ kind: "table", key: variableKey(node) });
    switch (node.op) {
      case "Const":
        return () => ({ kind: "tensor", read: () => new Attributes(node).tensor("value") });
      case "Identity":
      case "PlaceholderWithDefault":
        return () => first;
      case "IdentityN":
        return (index) => inputs[index];
      case "RestoreV2":
        return this.#restored(node, inputs);
      case "Assign":
      case "AssignVariableOp":
        this.#assign(first, inputs[1]);
        return () => first;
      case "LookupTableImport":
      case "LookupTableImportV2":
        this.#import(inputs);
        return () => UNKNOWN;
      case "StatefulPartitionedCall":
      case "PartitionedCall":
        return this.#call(node, inputs, scope);
      default:
        return () => UNKNOWN;
    }
  }

  #restored(node: NodeDef, inputs: readonly RestoreValue[]): Outputs<RestoreValue> {
    const [, names, slices] = inputs.map((value) => (value.kind === "tensor" ? strings(value.read()) : undefined));
    if (!names) {
      throw fault(
        "GRAPH_MALFORMED",
        `the node ${node.name} cannot be run`,
        "its tensor names are not constant",
        "export the model again",
      );
    }
    return (index) => {
      const name = names[index];
      if (name === undefined) return undefined;
      // Whatever needs its variable is missing; what does not can run.
      if (this.#bundle.isForeign(name)) return UNKNOWN;
      // A slice specification asks for a part of a partitioned variable: "full shape  start,length:start,length".
      const slice = slices?.[index] ?? "";
      return {
        kind: "tensor",
        readComplex: () => (slice === "" ? this.#bundle.readComplex(name) : undefined),
        read: () => (slice === "" ? this.#bundle.read(name) : this.#bundle.readSlice(name, slice)),
      };
    };
  }

  #assign(target: RestoreValue, value: RestoreValue | undefined): void {
    if (target.kind !== "variable" || value?.kind !== "tensor") return;
    const parts = value.readComplex?.();
    if (parts) this.#complexVariables.set(target.key, parts);
    else this.#variables.set(target.key, value.read());
  }

  #import([table, keys, values]: readonly RestoreValue[]): void {
    if (table?.kind !== "table" || keys?.kind !== "tensor" || values?.kind !== "tensor") return;
    this.#tables.set(table.key, { keys: keys.read(), values: values.read() });
  }

  /** A call in the restore path is made for its effects: every assignment in the body is one, needed or not. */
  #call(node: NodeDef, inputs: readonly RestoreValue[], caller: Scope<RestoreValue>): Outputs<RestoreValue> {
    const call = this.openCall(new Attributes(node).functionName("f"), inputs, caller);
    for (const inner of call.body.nodeDef) {
      const hasEffect = RESTORED_OPS.has(inner.op) || CALL_OPS.has(inner.op);
      if (hasEffect && !inner.input.every(isControl)) this.evaluate(call.scope, inner.name);
    }
    return this.returned(call);
  }
}

function strings(tensor: Tensor): string[] | undefined {
  return tensor.dtype === "string"
    ? (tensor.data as readonly Uint8Array[]).map((bytes) => fromUtf8(bytes) ?? "")
    : undefined;
}
