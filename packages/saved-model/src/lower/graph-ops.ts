import { CALL_OPS } from "../graph/restore.ts";

/** Ops that the tracer handles itself: nothing of them is left in the lowered graph. */
export const GRAPH_OPS = [
  ...CALL_OPS,
  "Assert",
  "Const",
  "NoOp",
  "Placeholder",
  "Print",
  "PrintV2",
  "ReadVariableOp",
  "VarHandleOp",
  "Variable",
  "VariableV2",
] as const;
