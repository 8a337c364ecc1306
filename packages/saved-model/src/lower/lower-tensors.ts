import { carried, inSinglePrecision } from "./carried.ts";
import { Unlowerable, unlowerable } from "./emitter.ts";
import { movedStrings } from "./moved-strings.ts";
import { COMPLEX_OPS } from "./ops/complex-ops.ts";
import { LIST } from "./ops/list.ts";
import type { Lowering, Op } from "./op.ts";
import { HOST_LOWERINGS, LOWERINGS } from "./table.ts";
import type { Value } from "./value.ts";

/** Whether there is a lowering for an op over tensors. */
export function isSupported(op: string): boolean {
  return LOWERINGS.has(op) || HOST_LOWERINGS.has(op) || COMPLEX_OPS.has(op);
}

/** Lowers an op over tensors (and at most one list): on strings as host calls, else in ONNX's operators. */
export function lowerTensors(op: Op, hasTooManyLists: boolean): Value | readonly Value[] {
  const { op: name } = op.node;
  if (hasTooManyLists) unlowerable("over several lists");
  const isOnStrings = op.inputs.some(({ dtype }) => dtype === "string");
  const own = HOST_LOWERINGS.get(name);
  if (own && (isOnStrings || !LOWERINGS.has(name))) return inSinglePrecision(op, own);
  if (Object.hasOwn(LIST, name)) return (LIST[name] as Lowering)(op);
  const lowering = LOWERINGS.get(name) ?? unlowerable("on numbers");
  if (isOnStrings) return movedStrings(op, lowering, (name) => LOWERINGS.get(name) ?? unlowerable("on strings"));
  try {
    return carried(op, lowering);
  } catch (error) {
    // What ONNX takes as constants only may be computed on the host.
    if (own && error instanceof Unlowerable) return inSinglePrecision(op, own);
    throw error;
  }
}
