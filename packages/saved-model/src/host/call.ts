import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelState } from "./state.ts";

/**
 * One step of a program that this package computes itself, since ONNX has no such operator: strings, parsing, tables,
 * variables. Operands and results are tensors in memory; results must be as many as the node has outputs.
 */
export interface HostCall {
  /** The TensorFlow op. */
  readonly op: string;
  /** The node's name, for errors. */
  readonly node: string;
  /** @throws HostRefusal where the operands are not what the op takes */
  readonly run: (inputs: readonly Tensor[], state: ModelState) => readonly Tensor[];
}

/** Why a request cannot be computed; half a sentence that holds no data of the request. */
export class HostRefusal extends Error {}

/** Refuses the request at hand. */
export function refuse(reason: string): never {
  throw new HostRefusal(reason);
}
