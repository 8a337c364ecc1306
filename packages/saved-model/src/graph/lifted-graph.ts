import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { Body } from "./cut.ts";

export const MERGE_OPS: ReadonlySet<string> = new Set(["Merge", "RefMerge"]);
export const SWITCH_OPS: ReadonlySet<string> = new Set(["Switch", "RefSwitch"]);

/** A graph or a function's body while its nodes are replaced. All edges are written as `edgeText` does. */
export interface LiftedGraph {
  readonly nodes: Map<string, NodeDef>;
  /** A name that no node has. */
  readonly freshName: (hint: string) => string;
  /** Adds a function to the library; returns its name. */
  readonly addFunction: (hint: string, args: readonly string[], body: Body) => string;
  /** Bounds the work. @throws SavedModelError LIMIT_EXCEEDED */
  readonly countVisit: () => void;
}
