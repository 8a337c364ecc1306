import { TABLE_OPS } from "./graph/restore.ts";
import { BRANCH_OPS, LOOP_OPS } from "./lower/control.ts";
import { GRAPH_OPS } from "./lower/graph-ops.ts";
import { VARIABLE_CHANGES } from "./lower/state-ops.ts";
import { COMPLEX_OPS, TRANSFORMS } from "./lower/ops/complex-ops.ts";
import { HOST_LOWERINGS, LOWERINGS, PASS_THROUGH } from "./lower/table.ts";

/**
 * - `onnx`: becomes nodes that ONNX Runtime computes. `host`: computed between them.
 * - `graph`: nothing is left of it (constants, calls, handles), or it gives its operands as they are.
 */
export type OpHome = "graph" | "host" | "onnx";

/** All TensorFlow ops that the embedded engine runs, in order, and where each is computed. */
export function supportedOps(): ReadonlyMap<string, readonly OpHome[]> {
  const homes = new Map<string, OpHome[]>();
  const add = (ops: Iterable<string>, home: OpHome): void => {
    for (const op of ops) homes.set(op, [...(homes.get(op) ?? []), home]);
  };
  add([...GRAPH_OPS, ...PASS_THROUGH, ...TABLE_OPS], "graph");
  const parts = [...COMPLEX_OPS].filter((op) => !TRANSFORMS.includes(op));
  add([...LOWERINGS.keys(), ...BRANCH_OPS, ...LOOP_OPS, ...parts], "onnx");
  add([...HOST_LOWERINGS.keys(), ...TRANSFORMS, ...Object.keys(VARIABLE_CHANGES)], "host");
  return new Map([...homes].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
