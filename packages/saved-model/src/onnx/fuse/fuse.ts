import type { GraphNode, MixedGraph, OnnxInitializer, OnnxNode } from "../model.ts";
import { fuseAttention } from "./attention.ts";
import { unfoldEinsum } from "./einsum.ts";
import { fuseGelu } from "./gelu.ts";
import { fuseLayerNorm } from "./layer-norm.ts";
import { NodeIndex } from "./node-index.ts";

/**
 * Puts single nodes in the place of groups that ONNX Runtime has kernels for and does not find by itself. The rest of a group stays in
 * the graph; what nothing needs any more falls out when the graph is pruned.
 */
export function fuseNodes(graph: MixedGraph): MixedGraph {
  const index = new NodeIndex(graph);
  const initializers = new Map<string, OnnxInitializer>(graph.initializers);
  const nodes = graph.nodes.flatMap((node): readonly GraphNode[] => {
    if ("host" in node) return [node];
    const fused = fuseLayerNorm(index, node) ?? fuseAttention(index, node);
    if (!fused) return (unfoldEinsum(node) ?? [fuseGelu(index, node) ?? node]).map(withoutMove);
    for (const [name, initializer] of fused.initializers) initializers.set(name, initializer);
    return fused.nodes;
  });
  return { ...graph, nodes, initializers };
}

/** A transpose that leaves every axis where it is costs a copy. */
function withoutMove(node: OnnxNode): OnnxNode {
  const order = node.op === "Transpose" ? node.attributes["perm"] : undefined;
  const isIdentity = Array.isArray(order) && order.every((axis, place) => axis === place);
  return isIdentity ? { ...node, op: "Identity", attributes: {} } : node;
}
