import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { Attributes } from "../graph/attributes.ts";
import { type Body, BRANCH_OPS, type ControlResult, fixedOf, lowerBranch, lowerLoop, selectionOf } from "./control.ts";
import { type Emitter, Unlowerable } from "./emitter.ts";
import { type LoweredBody, lowerHostBranch, lowerHostLoop } from "./host-control.ts";
import type { Value } from "./value.ts";

/** The functions that control flow calls. */
export interface Bodies extends Body {
  /** A function lowered by itself, for the host to run. */
  readonly alone: (name: string, args: readonly Value[]) => LoweredBody;
}

/** Lowers If, Case or While: to ONNX's operators where the bodies need nothing else, else to programs that the host runs. */
export function lowerControl(
  node: NodeDef,
  attributes: Attributes,
  emit: Emitter,
  values: readonly Value[],
  bodies: Bodies,
): ControlResult {
  const isBranch = BRANCH_OPS.has(node.op);
  const attempt = (): ControlResult =>
    isBranch ? lowerBranch(emit, attributes, node.op, values, bodies) : lowerLoop(emit, attributes, values, bodies);
  // A body of ONNX's cannot call the host: that is settled outside of it.
  if (emit.isBody) return attempt();
  try {
    const result = attempt();
    if ("values" in result) return result;
  } catch (error) {
    if (!(error instanceof Unlowerable)) throw error;
  }
  if (isBranch) {
    const { selector, names, args } = selectionOf(attributes, node.op, values);
    return lowerHostBranch(emit, selector, names, args, bodies.alone);
  }
  return lowerHostLoop(emit, attributes, values, fixedOf(attributes, bodies), bodies.alone);
}

/** The functions that a node names. */
export function functionsOf({ attr }: NodeDef): string[] {
  return Object.values(attr).flatMap(({ value }) => {
    if (value.case === "func") return [value.value.name];
    return value.case === "list" ? value.value.func.map(({ name }) => name) : [];
  });
}
