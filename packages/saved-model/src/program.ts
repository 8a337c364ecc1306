import type { DType } from "@cloister/encoding/tensor";
import { fault } from "./error.ts";
import { lower } from "./lower/lower.ts";
import type { Lowered } from "./lower/task.ts";
import { MISSING_OP, type MissingOp } from "./lower/missing-op.ts";
import { fuseNodes } from "./onnx/fuse/fuse.ts";
import { givesOf, type MixedGraph, pruneGraph } from "./onnx/model.ts";
import { keepsRowsApart } from "./onnx/rows-apart.ts";
import { partition } from "./partition.ts";
import type { Program } from "./program-steps.ts";
import { requireSignature, type SavedModel, type Signature } from "./saved-model.ts";

/**
 * - `declared`: the shapes in the signature hold; unknown dimensions stay open.
 * - `open`: nothing is relied on. TensorFlow Serving does not check requests against the declared shapes, so one that differs
 *   from them runs in this form.
 */
export type ShapeTrust = "declared" | "open";

/** A signature, lowered as a whole once; programs for any set of outputs are cut from it. */
export class SignatureProgram {
  readonly #key: string;
  readonly #model: SavedModel;
  readonly #signature: Signature;
  readonly #trust: ShapeTrust;
  #whole: Lowered | undefined;

  /** @throws SavedModelError SIGNATURE_NOT_FOUND, or where the graph is broken */
  constructor(model: SavedModel, key: string, trust: ShapeTrust) {
    this.#key = key;
    this.#model = model;
    this.#trust = trust;
    this.#signature = requireSignature(model, key);
  }

  /** Ops, and tensors of the signature itself, that stand in the way of these outputs; empty where they can run. */
  missing(aliases: readonly string[] = [...this.#signature.outputs.keys()]): MissingOp[] {
    const lowered = this.#lowered(aliases);
    return this.#missing(lowered, this.#pruned(lowered, aliases));
  }

  /** The program for these outputs. @throws SavedModelError UNSUPPORTED_OPS, NODE_NOT_FOUND for an unknown alias */
  build(aliases: readonly string[]): Program {
    const lowered = this.#lowered(aliases);
    const graph = this.#pruned(lowered, aliases);
    const missing = this.#missing(lowered, graph);
    if (missing.length > 0) throw unsupportedOps(`the signature ${this.#key}`, missing);
    const outputs = new Map(aliases.map((alias) => [alias, this.#fetch(lowered, alias)]));
    const names = [...outputs.values()].map(({ name }) => name);
    const inputs = new Set([...graph.inputs.map(({ name }) => name), ...names]);
    return {
      ...assemble(lowered, graph, new Set(names)),
      inputs: [...this.#signature.inputs.keys()].filter((alias) => inputs.has(alias)),
      outputs,
      keepsRowsApart: lowered.effects.length === 0 && keepsRowsApart(graph, names),
    };
  }

  /** Tensors of the signature that cannot be fed or given, then ops. */
  #missing(lowered: Lowered, graph: MixedGraph): MissingOp[] {
    const { unfit = [] } = this.#signature;
    const isKnown = ({ node }: MissingOp): boolean => unfit.some((each) => each.node.split(":")[0] === node);
    return [...unfit, ...missingOps(lowered, graph).filter((each) => !isKnown(each))];
  }

  /** Where requests change the model, only what the wanted outputs need may run: each set of outputs is a graph of its own. */
  #lowered(aliases: readonly string[]): Lowered {
    const whole = this.#whole ?? this.#lower([...this.#signature.outputs.keys()]);
    this.#whole = whole;
    return whole.effects.length === 0 ? whole : this.#lower(aliases);
  }

  #lower(aliases: readonly string[]): Lowered {
    const feeds = [...this.#signature.inputs].map(([alias, { name, dtype, shape }]) => ({
      name: alias,
      tensor: name,
      dtype,
      shape: this.#trust === "declared" ? shape : undefined,
    }));
    const names = aliases.flatMap((alias) => this.#signature.outputs.get(alias)?.name ?? []);
    return lower(this.#model, {
      feeds,
      given: this.#model.initialization.assets,
      fetches: [...new Set(names)],
      targets: [],
    });
  }

  #pruned(lowered: Lowered, aliases: readonly string[]): MixedGraph {
    const needed = [...aliases.map((alias) => this.#fetch(lowered, alias).name), ...lowered.effects];
    // First what is needed at all, so that the fusions see no more than that.
    return pruneGraph(fuseNodes(pruneGraph(lowered.graph, needed)), needed);
  }

  #fetch(lowered: Lowered, alias: string): { readonly name: string; readonly dtype: DType } {
    const tensor = this.#signature.outputs.get(alias);
    const fetch = tensor && lowered.fetches.get(tensor.name);
    if (fetch) return fetch;
    throw fault(
      "NODE_NOT_FOUND",
      `the signature ${this.#key} has no output ${alias}`,
      "outputs go by their alias",
      "see the signature",
    );
  }
}

/**
 * What has to run once before a model answers: it fills hash tables. `undefined` where there is nothing.
 *
 * @throws SavedModelError UNSUPPORTED_OPS
 */
export function initializationProgram(model: SavedModel): Program | undefined {
  const { targets, assets } = model.initialization;
  if (targets.length === 0) return undefined;
  const lowered = lower(model, { feeds: [], given: assets, fetches: [], targets });
  const graph = pruneGraph(lowered.graph, lowered.effects);
  const missing = missingOps(lowered, graph);
  if (missing.length > 0) throw unsupportedOps("the initialisation of the model", missing);
  return { ...assemble(lowered, graph, new Set()), inputs: [], outputs: new Map(), keepsRowsApart: false };
}

function assemble(
  lowered: Lowered,
  graph: MixedGraph,
  outputs: ReadonlySet<string>,
): Pick<Program, "steps" | "constants" | "nodeCount"> {
  // An output may be a constant, which pruning to what nodes need leaves out.
  const initializers = new Map([...lowered.graph.initializers, ...graph.initializers]);
  return { ...partition({ ...graph, initializers }, outputs, lowered.types), nodeCount: graph.nodes.length };
}

function missingOps(lowered: Lowered, graph: MixedGraph): MissingOp[] {
  const standIns = graph.nodes.filter((node) => "op" in node && node.op === MISSING_OP);
  return standIns.flatMap((node) => lowered.missing.get(givesOf(node)[0] ?? "") ?? []);
}

const MAX_LISTED_NODES = 50;

function unsupportedOps(what: string, missing: readonly MissingOp[]): Error {
  return fault(
    "UNSUPPORTED_OPS",
    `${what} cannot run`,
    describeMissing(missing),
    "export a model without these ops, or run: cloister engine install tensorflow",
  );
}

/** One line that names every missing op with its nodes and the reason. */
export function describeMissing(missing: readonly MissingOp[]): string {
  const byOp = Map.groupBy(missing.slice(0, MAX_LISTED_NODES), ({ op, reason }) => `${op} (${reason})`);
  const listed = [...byOp].map(([op, entries]) => `${op}: ${[...new Set(entries.map(({ node }) => node))].join(", ")}`);
  const rest = missing.length > MAX_LISTED_NODES ? `, and ${missing.length - MAX_LISTED_NODES} more nodes` : "";
  return `missing ops: ${listed.join("; ")}${rest}`;
}
