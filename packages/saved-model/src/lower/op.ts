import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { Attributes } from "../graph/attributes.ts";
import { type Emitter, unlowerable } from "./emitter.ts";
import type { HandleValue, ListValue, TensorValue, Value } from "./value.ts";

/** A node at the moment it is lowered: its operands are lowered already. */
export class Op {
  readonly node: NodeDef;
  readonly attributes: Attributes;
  /** The operands that are tensors, in their order. */
  readonly inputs: readonly TensorValue[];
  readonly emit: Emitter;
  /** The table, variable or array that the op works on. */
  readonly handle: HandleValue | undefined;
  /** The operand that is a list of tensors. */
  readonly list: ListValue | undefined;

  constructor(
    node: NodeDef,
    attributes: Attributes,
    inputs: readonly TensorValue[],
    emit: Emitter,
    handle?: HandleValue,
    list?: ListValue,
  ) {
    this.node = node;
    this.attributes = attributes;
    this.inputs = inputs;
    this.emit = emit;
    this.handle = handle;
    this.list = list;
  }

  /** The operand `index`; a graph that lacks it is malformed. */
  input(index: number): TensorValue {
    return this.inputs[index] ?? unlowerable(`operand ${index} is missing`);
  }

  /** The same op over other operands. */
  withInputs(inputs: readonly TensorValue[]): Op {
    return new Op(this.node, this.attributes, inputs, this.emit, this.handle, this.list);
  }

  /** Another op of these attributes. */
  named(op: string): Op {
    return new Op({ ...this.node, op }, this.attributes, this.inputs, this.emit, this.handle, this.list);
  }

  /** Key of the table or variable; a graph that gives none is malformed. */
  requireResource(): string {
    return this.handle && "key" in this.handle ? this.handle.key : unlowerable("its table is no table");
  }
}

/** Turns a node into ONNX nodes or host calls; gives its outputs. Refuses with `unlowerable()`. */
export type Lowering = (op: Op) => Value | readonly Value[];

/** Lowerings by TensorFlow op. */
export type LoweringTable = Readonly<Record<string, Lowering>>;
