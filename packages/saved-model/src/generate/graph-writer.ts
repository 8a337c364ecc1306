// Field numbers: graph.proto, node_def.proto, attr_value.proto, tensor.proto.

import type { DType } from "@cloister/encoding/tensor";
import { elementCount } from "@cloister/encoding/tensor";
import { DTYPES } from "../tensor/dtype.ts";
import { ProtoWriter } from "../wire/proto-writer.ts";
import { encodeShape } from "../wire/signature-writer.ts";

/** An attribute of a node, by kind. */
export type Attr =
  | { readonly type: DType }
  | { readonly int: number }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly shape: readonly number[] };

/** Producer version that the graph states: TensorFlow 1.15, which knows every op used here. */
const PRODUCER = 134;

/** Writes a GraphDef node by node. Weights are made when the message is joined, straight into it. */
export class GraphWriter {
  readonly #graph = new ProtoWriter();
  #nodeCount = 0;

  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Adds a node; returns its name. */
  node(name: string, op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attr>>): string {
    return this.#add(
      name,
      op,
      inputs,
      new Map(Object.entries(attributes).map(([key, attr]) => [key, encodeAttr(attr)])),
    );
  }

  /** Adds a float constant whose elements `fill` writes. */
  floats(name: string, shape: readonly number[], fill: (target: Float32Array) => void): string {
    const length = elementCount(shape) * 4;
    return this.#constant(name, "float", shape, length, (target) => {
      const values = new Float32Array(length / 4);
      fill(values);
      target.set(new Uint8Array(values.buffer));
    });
  }

  /** Adds an int32 constant. */
  ints(name: string, shape: readonly number[], values: readonly number[]): string {
    return this.#constant(name, "int32", shape, values.length * 4, (target) => {
      target.set(new Uint8Array(Int32Array.from(values).buffer));
    });
  }

  finish(): Uint8Array {
    return this.#graph.message(4, new ProtoWriter().int(1, PRODUCER)).finish();
  }

  #constant(
    name: string,
    dtype: DType,
    shape: readonly number[],
    length: number,
    fill: (target: Uint8Array) => void,
  ): string {
    const tensor = new ProtoWriter()
      .int(1, DTYPES[dtype].number)
      .message(2, encodeShape(shape))
      .lazyBytes(4, { length, fill });
    const value = new ProtoWriter().message(8, tensor);
    return this.#add(
      name,
      "Const",
      [],
      new Map([
        ["dtype", encodeAttr({ type: dtype })],
        ["value", value],
      ]),
    );
  }

  #add(name: string, op: string, inputs: readonly string[], attributes: ReadonlyMap<string, ProtoWriter>): string {
    const node = new ProtoWriter().string(1, name).string(2, op);
    for (const input of inputs) node.string(3, input);
    for (const [key, value] of attributes) node.message(5, new ProtoWriter().string(1, key).message(2, value));
    this.#graph.message(1, node);
    this.#nodeCount += 1;
    return name;
  }
}

function encodeAttr(attr: Attr): ProtoWriter {
  const writer = new ProtoWriter();
  if ("type" in attr) return writer.int(6, DTYPES[attr.type].number);
  if ("int" in attr) return writer.int(3, attr.int);
  if ("float" in attr) return writer.float(4, attr.float);
  if ("bool" in attr) return writer.int(5, Number(attr.bool));
  if ("string" in attr) return writer.string(2, attr.string);
  if ("shape" in attr) return writer.message(7, encodeShape(attr.shape));
  return writer.message(1, new ProtoWriter().packedInts(3, attr.ints));
}
