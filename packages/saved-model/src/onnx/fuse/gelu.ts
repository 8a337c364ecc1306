import type { OnnxNode } from "../model.ts";
import { bothOrders, type NodeIndex } from "./node-index.ts";

/**
 * Gelu by way of erfc, as Keras 3 writes it: 0.5 * x * (1 - erf(-x * sqrt(0.5))). ONNX Runtime knows the form with erf by itself. It has
 * one kernel for the whole, which also takes in a bias before it.
 */
export function fuseGelu(index: NodeIndex, node: OnnxNode): OnnxNode | undefined {
  if (node.op !== "Mul") return undefined;
  for (const [half, complement] of bothOrders(node)) {
    const x = halved(index, half);
    if (x !== undefined && isComplement(index, complement, x)) {
      return { op: "Gelu", domain: "com.microsoft", inputs: [x], outputs: node.outputs, attributes: {} };
    }
  }
  return undefined;
}

/** x where `name` is 0.5 * x. */
function halved(index: NodeIndex, name: string): string | undefined {
  const product = index.maker(name, "Mul");
  return product && bothOrders(product).find(([factor]) => index.isScalar(factor, 0.5))?.[1];
}

/** Whether `name` is 1 - erf(-x * sqrt(0.5)). */
function isComplement(index: NodeIndex, name: string, x: string): boolean {
  const difference = index.maker(name, "Sub");
  if (!difference || !index.isScalar(difference.inputs[0], 1)) return false;
  const argument = index.maker(index.maker(difference.inputs[1], "Erf")?.inputs[0], "Mul");
  return (
    argument !== undefined &&
    bothOrders(argument).some(
      ([factor, negative]) => index.isScalar(factor, Math.SQRT1_2) && index.maker(negative, "Neg")?.inputs[0] === x,
    )
  );
}
