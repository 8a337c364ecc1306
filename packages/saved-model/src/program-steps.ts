import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { HostCall } from "./host/call.ts";

/** A model whose large constants lie beside its message, as ONNX's external data. */
export interface OnnxModel {
  /** A ModelProto. */
  readonly graph: Uint8Array;
  /** By the location that the message names; views of the model's files where those hold them as they are. */
  readonly weights: ReadonlyMap<string, Uint8Array>;
}

/** An ONNX model; its inputs and outputs go by the names of the program's values, 16-bit floats as floats by their `borderName`. */
export interface OnnxStep extends OnnxModel {
  readonly kind: "onnx";
  readonly inputs: readonly string[];
  readonly outputs: readonly { readonly name: string; readonly dtype: DType }[];
  readonly nodeCount: number;
}

/** A call of the host. */
export interface HostStep {
  readonly kind: "host";
  readonly call: HostCall;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * Control flow whose bodies need the host. The operands of a body go by `operandName`, its results by their place ("0", "1", ...).
 *
 * - `branch`: the first input says which body runs: an integer that counts the bodies (the last one for all others), else
 *   whether it is the second (true) or the first.
 * - `loop`: as long as the first body's only result holds, the second one's results become the next operands. Operands that it
 *   does not give back stay as they are.
 */
export interface ControlStep {
  readonly kind: "branch" | "loop";
  readonly bodies: readonly Program[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export type Step = OnnxStep | HostStep | ControlStep;

/** What computes some outputs of a signature, step by step. */
export interface Program {
  /** In the order in which they run. Values go from one to the other by name. */
  readonly steps: readonly Step[];
  /** Values that are there from the start. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Aliases of the inputs that the steps need; they are the names of their values. */
  readonly inputs: readonly string[];
  /** Name of the value of each output. */
  readonly outputs: ReadonlyMap<string, { readonly name: string; readonly dtype: DType }>;
  /** A batch may be computed in parts, see `keepsRowsApart`. */
  readonly keepsRowsApart: boolean;
  readonly nodeCount: number;
}

/** Name by which a value of the program enters and leaves an ONNX model. */
export function borderName(name: string, dtype: DType): string {
  return isShortFloat(dtype) ? `${name}:float` : name;
}

export function isShortFloat(dtype: DType): dtype is "half" | "bfloat16" {
  return dtype === "half" || dtype === "bfloat16";
}

/** Name of an operand of a body in control flow. */
export function operandName(index: number): string {
  return `operand:${index}`;
}
