import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { Attributes } from "../graph/attributes.ts";
import { type Emitter, unlowerable } from "./emitter.ts";
import type { TensorValue } from "./value.ts";

/** A node at the moment it is lowered: its operands are lowered already. */
export class Op {
  readonly node: NodeDef;
  readonly attributes: Attributes;
  readonly inputs: readonly TensorValue[];
  readonly emit: Emitter;

  constructor(node: NodeDef, attributes: Attributes, inputs: readonly TensorValue[], emit: Emitter) {
    this.node = node;
    this.attributes = attributes;
    this.inputs = inputs;
    this.emit = emit;
  }

  /** The operand `index`; a graph that lacks it is malformed. */
  input(index: number): TensorValue {
    return this.inputs[index] ?? unlowerable(`operand ${index} is missing`);
  }
}

/** Turns a node into ONNX nodes; gives its outputs. Refuses with `unlowerable()`. */
export type Lowering = (op: Op) => TensorValue | readonly TensorValue[];

/** Lowerings by TensorFlow op. */
export type LoweringTable = Readonly<Record<string, Lowering>>;
