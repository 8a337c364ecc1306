import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { Attributes } from "../graph/attributes.ts";
import { type Emitter, unlowerable } from "./emitter.ts";
import type { ListValue, TensorValue, Value } from "./value.ts";

/** A node at the moment it is lowered: its operands are lowered already. */
export class Op {
  readonly node: NodeDef;
  readonly attributes: Attributes;
  /** The operands that are tensors, in their order. */
  readonly inputs: readonly TensorValue[];
  readonly emit: Emitter;
  /** Key of the table or variable that the op works on. */
  readonly resource: string | undefined;
  /** The operand that is a list of tensors. */
  readonly list: ListValue | undefined;

  constructor(
    node: NodeDef,
    attributes: Attributes,
    inputs: readonly TensorValue[],
    emit: Emitter,
    resource?: string,
    list?: ListValue,
  ) {
    this.node = node;
    this.attributes = attributes;
    this.inputs = inputs;
    this.emit = emit;
    this.resource = resource;
    this.list = list;
  }

  /** The operand `index`; a graph that lacks it is malformed. */
  input(index: number): TensorValue {
    return this.inputs[index] ?? unlowerable(`operand ${index} is missing`);
  }

  /** The same op over other operands. */
  withInputs(inputs: readonly TensorValue[]): Op {
    return new Op(this.node, this.attributes, inputs, this.emit, this.resource, this.list);
  }

  /** Key of the table or variable; a graph that gives none is malformed. */
  requireResource(): string {
    return this.resource ?? unlowerable("its table is no table");
  }
}

/** Turns a node into ONNX nodes or host calls; gives its outputs. Refuses with `unlowerable()`. */
export type Lowering = (op: Op) => Value | readonly Value[];

/** Lowerings by TensorFlow op. */
export type LoweringTable = Readonly<Record<string, Lowering>>;
