import type { DType, Tensor } from "@cloister/encoding/tensor";

/** A dimension is -1 where it is unknown until run time; the whole is `undefined` where even the rank is. */
export type Shape = readonly number[] | undefined;

/**
 * A tensor while the graph is lowered. `shape` is TensorFlow's. Physically an image tensor may exist in ONNX's channels-first
 * order only (outputs of convolutions), in TensorFlow's order only, or in both; the emitter makes the missing one on demand.
 */
export interface TensorValue {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: Shape;
  /** Name of the ONNX value in TensorFlow's order, once it exists. */
  plain?: string;
  /** Name of the ONNX value transposed from NHWC to NCHW, once it exists. */
  channelsFirst?: string;
  /** The value itself where it is known. */
  readonly constant?: Tensor;
  /** Elements of an integer tensor of rank 0 or 1, as far as they are known (computed shapes mostly are). */
  readonly elements?: readonly (number | undefined)[];
  /** A string tensor of elements of others, before it is made: `indices` counts through the elements of the whole pool. */
  readonly moved?: { readonly pool: readonly TensorValue[]; readonly indices: TensorValue };
  /** The elements count from zero: 0, 1, 2 and so on. */
  readonly isCount?: boolean;
  /** Where the value is another one with zeros around it: a convolution takes that one and pads itself. */
  readonly padding?: { readonly of: TensorValue; readonly pads: readonly (readonly [number, number])[] };
}

/** A handle of a variable, by `variableKey`. */
export interface VariableValue {
  readonly kind: "variable";
  readonly key: string;
  /** A TF1 reference: whoever takes it reads the variable at that moment. */
  readonly isReference: boolean;
  /** What its node says of the values that it holds. */
  readonly dtype: DType | undefined;
  readonly shape: Shape;
}

/** A handle of a hash table, by the key of its node. */
export interface TableValue {
  readonly kind: "table";
  readonly key: string;
  /** What its node says of keys and values. */
  readonly keyDType?: DType | undefined;
  readonly valueDType?: DType | undefined;
  /** Shape of each value. */
  readonly valueShape?: Shape;
}

/** A handle of a TensorArray. What is in it goes along its flow, as a list. */
interface ArrayValue {
  readonly kind: "array";
  /** Writing beyond the end makes it longer. */
  readonly isDynamic: boolean;
}

/** A list of tensors: a tensor whose first axis counts its items, an ONNX sequence, or a list that the host holds. */
export interface ListValue {
  readonly kind: "list";
  readonly form: "tensor" | "sequence" | "host";
  readonly dtype: DType;
  /** Shape of an item. */
  readonly item: Shape;
  readonly name: string;
  /** The number of items of a list in which none is written yet. */
  readonly unwritten?: TensorValue;
}

/** A tensor of complex numbers. */
export interface ComplexValue {
  readonly kind: "complex";
  readonly real: TensorValue;
  readonly imaginary: TensorValue;
}

/** What an op that cannot be lowered gives; `name` is its stand-in's output in the ONNX graph. */
export interface MissingValue {
  readonly kind: "missing";
  readonly name: string;
}

/** What an op works on without taking its value. */
export type HandleValue = VariableValue | TableValue | ArrayValue;

export type Value = TensorValue | ComplexValue | HandleValue | ListValue | MissingValue;

/** Elements of an integer vector or scalar, as far as they are known; `undefined` where nothing is. */
export function knownElements(value: TensorValue): readonly (number | undefined)[] | undefined {
  if (value.elements) return value.elements;
  if (!value.constant || value.constant.shape.length > 1 || value.dtype === "string") return undefined;
  return Array.from(value.constant.data as Int32Array | BigInt64Array, Number);
}

/** Elements of an integer vector or scalar where all are known. */
export function knownInts(value: TensorValue | undefined): readonly number[] | undefined {
  const elements = value && knownElements(value);
  return elements?.every((item) => item !== undefined) ? elements : undefined;
}

/** The shape that two operands broadcast to. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  if (!a || !b) return undefined;
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === 1) return right;
    if (right === 1 || left === right) return left;
    // One is unknown: it is 1 or the other's size.
    return Math.max(left, right);
  });
}

/** `axis` counted from the front. */
export function normalizeAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** NCHW order of the NHWC axes, and back. */
export const TO_CHANNELS_FIRST = [0, 3, 1, 2] as const;
export const TO_CHANNELS_LAST = [0, 2, 3, 1] as const;
/** For an axis in NHWC, its place in NCHW. */
export const CHANNELS_FIRST_AXIS = [0, 2, 3, 1] as const;
