import type { AttrValue } from "@cloister/encoding/gen/tensorflow/core/framework/attr_value_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import type { NodeDef } from "@cloister/encoding/gen/tensorflow/core/framework/node_def_pb";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { fromUtf8 } from "@cloister/encoding";
import { fault } from "../error.ts";
import { complexPart, decodeComplexTensor, decodeTensor } from "../tensor/decode.ts";
import { heldDType, requireDType } from "../tensor/dtype.ts";
import { shapeOf } from "../tensor/shape.ts";

type AttrCase = Exclude<AttrValue["value"]["case"], undefined>;
type AttrOf<Case extends AttrCase> = Extract<AttrValue["value"], { case: Case }>["value"];

/** A node's attributes by type. Getters with a default return it where the attribute is absent, as TensorFlow strips defaults. */
export class Attributes {
  readonly #node: NodeDef;

  constructor(node: NodeDef) {
    this.#node = node;
  }

  #get<Case extends AttrCase>(name: string, kind: Case): AttrOf<Case> | undefined {
    const value = Object.hasOwn(this.#node.attr, name) ? this.#node.attr[name]?.value : undefined;
    if (value === undefined || value.case === undefined) return undefined;
    if (value.case !== kind) throw this.#malformed(name, `it is not of the kind ${kind}`);
    return value.value as AttrOf<Case> | undefined;
  }

  int(name: string, absent: number): number {
    const value = this.#get(name, "i");
    return value === undefined ? absent : Number(value);
  }

  /** An integer that may need all of its 64 bits. */
  bigint(name: string, absent: bigint): bigint {
    return this.#get(name, "i") ?? absent;
  }

  float(name: string, absent: number): number {
    return this.#get(name, "f") ?? absent;
  }

  bool(name: string, absent: boolean): boolean {
    return this.#get(name, "b") ?? absent;
  }

  string(name: string, absent: string): string {
    const value = this.#get(name, "s");
    return value === undefined ? absent : (fromUtf8(value) ?? absent);
  }

  ints(name: string): number[] {
    return (this.#get(name, "list")?.i ?? []).map(Number);
  }

  /** Integers that may need all of their 64 bits. */
  bigints(name: string): bigint[] {
    return [...(this.#get(name, "list")?.i ?? [])];
  }

  floats(name: string): number[] {
    return [...(this.#get(name, "list")?.f ?? [])];
  }

  strings(name: string): string[] {
    return (this.#get(name, "list")?.s ?? []).map((bytes) => fromUtf8(bytes) ?? "");
  }

  /** The dtype; `undefined` where the attribute is missing, and for resources and variants. */
  dtype(name: string): DType | undefined {
    const value = this.#get(name, "type");
    return value === undefined ? undefined : heldDType(value);
  }

  /** The dtype of the parts where the attribute names complex numbers. */
  complexPart(name: string): "float" | "double" | undefined {
    return complexPart(this.#get(name, "type") ?? 0);
  }

  requireDType(name: string): DType {
    return this.dtype(name) ?? requireDType(this.#get(name, "type") ?? 0, this.#node.name);
  }

  /** As `requireDType`, for what a list holds: strings carry the variants that ragged tensors are in it. */
  itemDType(name: string): DType {
    return this.#get(name, "type") === DataType.DT_VARIANT ? "string" : this.requireDType(name);
  }

  /** A shape attribute; `undefined` for unknown rank or no attribute. */
  shape(name: string): number[] | undefined {
    const value = this.#get(name, "shape");
    return value === undefined ? undefined : shapeOf(value);
  }

  tensor(name: string): Tensor {
    const value = this.#get(name, "tensor");
    if (!value) throw this.#malformed(name, "it is missing");
    return decodeTensor(value, this.#node.name, heldDType(value.dtype));
  }

  /** The parts of a tensor of complex numbers; `undefined` where the tensor holds others. */
  complexTensor(name: string): { readonly real: Tensor; readonly imaginary: Tensor } | undefined {
    const value = this.#get(name, "tensor");
    return value && decodeComplexTensor(value, this.#node.name);
  }

  /** The name of the function in a function attribute. */
  functionName(name: string): string {
    const value = this.#get(name, "func");
    if (!value) throw this.#malformed(name, "it is missing");
    return value.name;
  }

  functionNames(name: string): string[] {
    return (this.#get(name, "list")?.func ?? []).map((each) => each.name);
  }

  /** Dtypes of a list attribute. */
  dtypes(name: string): DType[] {
    return (this.#get(name, "list")?.type ?? []).map((number) => requireDType(number, this.#node.name));
  }

  shapes(name: string): (number[] | undefined)[] {
    return (this.#get(name, "list")?.shape ?? []).map((shape) => shapeOf(shape));
  }

  #malformed(name: string, why: string): Error {
    return fault(
      "GRAPH_MALFORMED",
      `the attribute ${name} of ${this.#node.name} cannot be used`,
      why,
      "export the model again",
    );
  }
}
