import type { DType } from "@cloister/encoding/tensor";
import { fault } from "./error.ts";
import { type LoweredSignature, lowerSignature, MISSING_OP, type MissingOp } from "./lower/lower.ts";
import { encodeOnnxModel } from "./onnx/encode.ts";
import { type OnnxGraph, type OnnxValueInfo, pruneGraph } from "./onnx/model.ts";
import { requireSignature, type SavedModel, type Signature } from "./saved-model.ts";

/**
 * - `declared`: the shapes in the signature hold; unknown dimensions stay open.
 * - `open`: nothing is relied on. TensorFlow Serving does not check requests against the declared shapes, so one that differs
 *   from them runs in this form.
 */
export type ShapeTrust = "declared" | "open";

/** An ONNX model that computes some outputs of a signature. */
export interface Program {
  readonly onnx: Uint8Array;
  /** Aliases of the inputs that the outputs need; they are the ONNX model's input names. */
  readonly inputs: readonly string[];
  /** ONNX output name of each alias. */
  readonly outputs: ReadonlyMap<string, { readonly name: string; readonly dtype: DType }>;
  readonly nodeCount: number;
}

/** A signature, lowered as a whole once; programs for any set of outputs are cut from it. */
export class SignatureProgram {
  readonly #key: string;
  readonly #signature: Signature;
  readonly #lowered: LoweredSignature;

  /** @throws SavedModelError SIGNATURE_NOT_FOUND, or where the graph is broken */
  constructor(model: SavedModel, key: string, trust: ShapeTrust) {
    this.#key = key;
    this.#signature = requireSignature(model, key);
    const feeds = [...this.#signature.inputs].map(([alias, { name, dtype, shape }]) => ({
      name: alias,
      tensor: name,
      dtype,
      shape: trust === "declared" ? shape : undefined,
    }));
    const fetches = [...new Set([...this.#signature.outputs.values()].map(({ name }) => name))];
    this.#lowered = lowerSignature(model.graph, model.variables, feeds, fetches);
  }

  /** Ops that stand in the way of these outputs; empty where they can run. */
  missing(aliases: readonly string[] = [...this.#signature.outputs.keys()]): MissingOp[] {
    const standIns = this.#pruned(aliases).nodes.filter(({ op }) => op === MISSING_OP);
    return standIns.flatMap(({ outputs: [name = ""] }) => this.#lowered.missing.get(name) ?? []);
  }

  /** The program for these outputs. @throws SavedModelError UNSUPPORTED_OPS, NODE_NOT_FOUND for an unknown alias */
  build(aliases: readonly string[]): Program {
    const missing = this.missing(aliases);
    if (missing.length > 0) throw unsupportedOps(this.#key, missing);
    const graph = this.#pruned(aliases);
    const outputs = new Map(aliases.map((alias) => [alias, this.#fetch(alias)]));
    return {
      onnx: encodeOnnxModel(graph),
      inputs: graph.inputs.map(({ name }) => name),
      outputs,
      nodeCount: graph.nodes.length,
    };
  }

  #pruned(aliases: readonly string[]): OnnxGraph {
    const outputs = new Map<string, OnnxValueInfo>(
      aliases.map((alias) => [this.#fetch(alias).name, this.#fetch(alias)]),
    );
    return pruneGraph(this.#lowered.graph, [...outputs.values()]);
  }

  #fetch(alias: string): OnnxValueInfo {
    const tensor = this.#signature.outputs.get(alias);
    const fetch = tensor && this.#lowered.fetches.get(tensor.name);
    if (fetch) return fetch;
    throw fault(
      "NODE_NOT_FOUND",
      `the signature ${this.#key} has no output ${alias}`,
      "outputs go by their alias",
      "see the signature",
    );
  }
}

const MAX_LISTED_NODES = 50;

function unsupportedOps(key: string, missing: readonly MissingOp[]): Error {
  return fault(
    "UNSUPPORTED_OPS",
    `the signature ${key} cannot run`,
    describeMissing(missing),
    "export a model without these ops, or serve it with TensorFlow",
  );
}

/** One line that names every missing op with its nodes and the reason. */
export function describeMissing(missing: readonly MissingOp[]): string {
  const byOp = Map.groupBy(missing.slice(0, MAX_LISTED_NODES), ({ op, reason }) => `${op} (${reason})`);
  const listed = [...byOp].map(([op, entries]) => `${op}: ${[...new Set(entries.map(({ node }) => node))].join(", ")}`);
  const rest = missing.length > MAX_LISTED_NODES ? `, and ${missing.length - MAX_LISTED_NODES} more nodes` : "";
  return `missing ops: ${listed.join("; ")}${rest}`;
}
