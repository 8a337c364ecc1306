import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { ModelState } from "../host/state.ts";
import type { Type } from "./emitter.ts";
import type { Lowering, Op } from "./op.ts";
import type { Shape } from "./value.ts";

/** A lowering to one host call over all operands. `run` may look at the attributes once, before any request. */
export function hostOp(
  types: (op: Op) => readonly Type[],
  prepare: (op: Op) => (inputs: readonly Tensor[], state: ModelState) => readonly Tensor[],
): Lowering {
  return (op) => op.emit.host({ op: op.node.op, node: op.node.name, run: prepare(op) }, op.inputs, types(op));
}

/** Results of the given dtypes and shapes. */
export function results(...types: readonly (readonly [DType, Shape])[]): () => Type[] {
  return () => types.map(([dtype, shape]) => ({ dtype, shape }));
}

/** One result of the first operand's shape. */
export function sameShape(dtype: DType | ((op: Op) => DType)): (op: Op) => Type[] {
  return (op) => [{ dtype: typeof dtype === "function" ? dtype(op) : dtype, shape: op.input(0).shape }];
}
