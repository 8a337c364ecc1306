import type { Tensor } from "@cloister/encoding/tensor";
import type { HostList } from "./list.ts";
import type { ModelState } from "./state.ts";

/** What goes from step to step of a program. */
export type HostValue = Tensor | HostList;

/**
 * One step of a program that this package computes itself, since ONNX has no such operator: strings, parsing, tables,
 * variables. Operands and results are in memory; results must be as many as the node has outputs.
 */
export interface HostCall {
  /** The TensorFlow op. */
  readonly op: string;
  /** The node's name, for errors. */
  readonly node: string;
  /** `inputs` are what the op takes: its lowering has seen to that. @throws HostRefusal where their values do not fit */
  run(this: void, inputs: readonly HostValue[], state: ModelState): readonly HostValue[];
}
