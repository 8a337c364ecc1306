import type { DType } from "@cloister/encoding/tensor";
import { DTYPES } from "../tensor/dtype.ts";
import type { OnnxNode } from "./model.ts";

const BOOLEAN: ReadonlySet<string> = new Set([
  "And",
  "Equal",
  "Greater",
  "GreaterOrEqual",
  "IsInf",
  "IsNaN",
  "Less",
  "LessOrEqual",
  "Not",
  "Or",
  "Xor",
]);
const INT64: ReadonlySet<string> = new Set([
  "ArgMax",
  "ArgMin",
  "NonMaxSuppression",
  "NonZero",
  "SequenceLength",
  "Shape",
  "Size",
]);
/** Ops whose result is of the type of another operand than the first. */
const LIKE: Readonly<Record<string, number>> = { OneHot: 2, Where: 1 };

const BY_NUMBER = new Map(Object.entries(DTYPES).map(([name, { onnx }]) => [onnx, name as DType]));

/** The dtype of a node's output, from ONNX's type rules. */
export function resultDType(node: OnnxNode, output: number, dtypeOf: (name: string) => DType): DType {
  if (BOOLEAN.has(node.op)) return "bool";
  if (INT64.has(node.op) || (node.op === "TopK" && output === 1) || (node.op === "Unique" && output > 0))
    return "int64";
  const to = node.attributes["to"];
  if (node.op === "Cast" && typeof to === "number") return BY_NUMBER.get(to) ?? "float";
  return dtypeOf(node.inputs[LIKE[node.op] ?? 0] ?? "");
}
