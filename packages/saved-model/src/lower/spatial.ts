// What convolutions and poolings share: data formats, window sizes and padding.

import type { Emitter } from "./emitter.ts";
import { unlowerable } from "./emitter.ts";
import type { OnnxAttribute } from "../onnx/model.ts";
import type { Op } from "./op.ts";
import type { Shape, TensorValue } from "./value.ts";
import type { DType } from "@cloister/encoding/tensor";

export interface Window {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
}

export type DataFormat = "NHWC" | "NCHW";

export function dataFormat(op: Op): DataFormat {
  const format = op.attributes.string("data_format", "NHWC");
  return format === "NHWC" || format === "NCHW" ? format : unlowerable(`data format ${format}`);
}

/** Height and width of an attribute that has an entry for each of four dimensions; 1 where it is absent. */
export function heightWidth(values: readonly number[], format: DataFormat): [number, number] {
  const [h, w] = format === "NHWC" ? [1, 2] : [2, 3];
  return [values[h] ?? 1, values[w] ?? 1];
}

/** Name of an image tensor in NCHW, whatever its data format. */
export function imageName(emit: Emitter, value: TensorValue, format: DataFormat): string {
  if (value.shape && value.shape.length !== 4) unlowerable(`an image tensor of rank ${value.shape.length}`);
  return format === "NHWC" ? emit.channelsFirst(value) : emit.plain(value);
}

/** An image tensor whose NCHW form has the name `name`. `shape` is in the data format's order. */
export function imageValue(name: string, dtype: DType, shape: Shape, format: DataFormat): TensorValue {
  return format === "NHWC"
    ? { kind: "tensor", dtype, shape, channelsFirst: name }
    : { kind: "tensor", dtype, shape, plain: name };
}

/** Batch, height, width and channels of a shape, -1 where unknown. */
export function imageDimensions(shape: Shape, format: DataFormat): { n: number; h: number; w: number; c: number } {
  const [n = -1, a = -1, b = -1, c = -1] = shape ?? [];
  return format === "NHWC" ? { n, h: a, w: b, c } : { n, h: b, w: c, c: a };
}

export function imageShape(
  { n, h, w, c }: { n: number; h: number; w: number; c: number },
  format: DataFormat,
): number[] {
  return format === "NHWC" ? [n, h, w, c] : [n, c, h, w];
}

/** Begin and end padding of height, then of width. */
export type Pads = readonly [readonly [number, number], readonly [number, number]];

const NO_PADS: Pads = [
  [0, 0],
  [0, 0],
];

export type Padding = { readonly kind: "explicit"; readonly pads: Pads } | { readonly kind: "same" };

/** The padding of an op, in numbers where they can be known before run time. SAME pads more at the end. */
export function paddingOf(op: Op, input: readonly [number, number], window: Window, format: DataFormat): Padding {
  const padding = op.attributes.string("padding", "");
  if (padding === "VALID") return { kind: "explicit", pads: NO_PADS };
  if (padding === "EXPLICIT") {
    const all = op.attributes.ints("explicit_paddings");
    const at = (axis: number): [number, number] => [all[2 * axis] ?? 0, all[2 * axis + 1] ?? 0];
    return { kind: "explicit", pads: format === "NHWC" ? [at(1), at(2)] : [at(2), at(3)] };
  }
  if (padding !== "SAME") unlowerable(`padding ${padding}`);
  const height = samePads(input[0], window.kernel[0], window.strides[0], window.dilations[0]);
  const width = samePads(input[1], window.kernel[1], window.strides[1], window.dilations[1]);
  return height && width ? { kind: "explicit", pads: [height, width] } : { kind: "same" };
}

function samePads(input: number, kernel: number, stride: number, dilation: number): [number, number] | undefined {
  const reach = (kernel - 1) * dilation + 1;
  // With stride 1 the padding does not depend on the size.
  if (input < 0 && stride !== 1) return undefined;
  const total = stride === 1 ? reach - 1 : Math.max((Math.ceil(input / stride) - 1) * stride + reach - input, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/** ONNX attributes of a window and its padding. */
export function windowAttributes(window: Window, padding: Padding): Record<string, OnnxAttribute> {
  const attributes: Record<string, OnnxAttribute> = { kernel_shape: window.kernel, strides: window.strides };
  if (window.dilations.some((dilation) => dilation !== 1)) attributes["dilations"] = window.dilations;
  if (padding.kind === "same") return { ...attributes, auto_pad: "SAME_UPPER" };
  const [[top, bottom], [left, right]] = padding.pads;
  return { ...attributes, pads: [top, left, bottom, right] };
}

/** Height and width after a window has passed over an image, -1 where unknown. */
export function outputSize(input: readonly [number, number], window: Window, padding: Padding): [number, number] {
  const along = (axis: 0 | 1): number => {
    if (input[axis] < 0) return -1;
    if (padding.kind === "same") return Math.ceil(input[axis] / window.strides[axis]);
    const [before, after] = padding.pads[axis];
    const reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
    return Math.floor((input[axis] + before + after - reach) / window.strides[axis]) + 1;
  };
  return [along(0), along(1)];
}
