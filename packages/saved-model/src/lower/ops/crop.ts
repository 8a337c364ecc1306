// Parts of images: boxes cut out and resized, and all windows of an image side by side.

import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts } from "../value.ts";

/** No result may be larger. */
const MAX_ELEMENTS = 2 ** 27;

/** Where a cropped row or column comes from; `undefined` outside of the image. */
interface Sample {
  readonly low: number;
  readonly high: number;
  readonly part: number;
}

const { fround } = Math;

/** Rows (or columns) of a crop of `count` between two edges, which are shares of the image's size. */
function samplesOf(from: number, to: number, size: number, count: number, isNearest: boolean): (Sample | undefined)[] {
  const step = count > 1 ? fround(fround(fround(to - from) * (size - 1)) / (count - 1)) : 0;
  return Array.from({ length: count }, (_, index) => {
    const at =
      count > 1
        ? fround(fround(from * (size - 1)) + fround(index * step))
        : fround(fround(0.5 * fround(from + to)) * (size - 1));
    if (!(at >= 0 && at <= size - 1)) return undefined;
    if (isNearest) {
      const nearest = Math.round(at);
      return { low: nearest, high: nearest, part: 0 };
    }
    return { low: Math.floor(at), high: Math.ceil(at), part: fround(at - Math.floor(at)) };
  });
}

function cropInto(
  target: Float32Array,
  offset: number,
  image: Tensor,
  at: { first: number; rows: (Sample | undefined)[]; columns: (Sample | undefined)[] },
  outside: number,
): void {
  const [, , width = 0, channels = 0] = image.shape;
  const data = image.data as Float32Array;
  let place = offset;
  const pixel = (row: number, column: number, channel: number): number =>
    data[at.first + (row * width + column) * channels + channel] as number;
  for (const row of at.rows) {
    for (const column of at.columns) {
      for (let channel = 0; channel < channels; channel++) {
        if (!row || !column) {
          target[place++] = outside;
          continue;
        }
        const upper = mixed(pixel(row.low, column.low, channel), pixel(row.low, column.high, channel), column.part);
        const lower = mixed(pixel(row.high, column.low, channel), pixel(row.high, column.high, channel), column.part);
        target[place++] = mixed(upper, lower, row.part);
      }
    }
  }
}

function mixed(a: number, b: number, part: number): number {
  return fround(a + fround(fround(b - a) * part));
}

/** Operands: images, boxes [n, 4] as shares, the image of each box, the size of a crop. */
const cropAndResize: Lowering = hostOp(
  (op) => {
    const [height = -1, width = -1] = knownInts(op.input(3)) ?? [];
    return [{ dtype: "float", shape: [op.input(1).shape?.[0] ?? -1, height, width, op.input(0).shape?.[3] ?? -1] }];
  },
  (op) => {
    const { dtype } = op.input(0);
    if (dtype === "half" || dtype === "bfloat16" || dtype === "int64" || dtype === "string")
      return unlowerable(`on ${dtype}`);
    const method = op.attributes.string("method", "bilinear");
    if (method !== "bilinear" && method !== "nearest") return unlowerable(`by the method ${method}`);
    const outside = op.attributes.float("extrapolation_value", 0);
    return ([image, boxes, images, size]) => {
      const [batch = 0, height = 0, width = 0, channels = 0] = (image as Tensor).shape;
      const [rows = 0, columns = 0] = integers(size as Tensor);
      const which = integers(images as Tensor);
      const shape = [which.length, rows, columns, channels];
      if (rows <= 0 || columns <= 0 || elementCount(shape) > MAX_ELEMENTS) return refuse("crops of that size");
      const result = new Float32Array(elementCount(shape));
      const edges = (boxes as Tensor).data as Float32Array;
      for (const [index, of] of which.entries()) {
        if (of < 0 || of >= batch) return refuse("a box of an image that is not there");
        const [top = 0, left = 0, bottom = 0, right = 0] = edges.subarray(index * 4, index * 4 + 4);
        const at = {
          first: of * height * width * channels,
          rows: samplesOf(top, bottom, height, rows, method === "nearest"),
          columns: samplesOf(left, right, width, columns, method === "nearest"),
        };
        cropInto(result, index * rows * columns * channels, image as Tensor, at, outside);
      }
      return [{ dtype: "float", shape, data: result }];
    };
  },
);

/** Number of windows along an axis, and how far the first one begins before the image. */
function windows(size: number, covered: number, stride: number, isSame: boolean): { count: number; before: number } {
  const count = Math.ceil((isSame ? size : size - covered + 1) / stride);
  const missing = isSame ? Math.max((count - 1) * stride + covered - size, 0) : 0;
  return { count: Math.max(count, 0), before: Math.floor(missing / 2) };
}

function windowAttributes(op: Op): { kernel: number[]; strides: number[]; rates: number[]; isSame: boolean } {
  const inner = (name: string): number[] => op.attributes.ints(name).slice(1, 3);
  return {
    kernel: inner("ksizes"),
    strides: inner("strides"),
    rates: inner("rates"),
    isSame: op.attributes.string("padding", "") === "SAME",
  };
}

/** Every window of an image as one row of channels; zeros where it reaches beyond. */
const patches: Lowering = hostOp(
  (op) => {
    const { kernel } = windowAttributes(op);
    const channels = op.input(0).shape?.[3] ?? -1;
    const depth = channels < 0 ? -1 : channels * elementCount(kernel);
    return [{ dtype: op.input(0).dtype, shape: [op.input(0).shape?.[0] ?? -1, -1, -1, depth] }];
  },
  (op) => {
    const { dtype } = op.input(0);
    if (dtype === "string") return unlowerable("on strings");
    const { kernel, strides, rates, isSame } = windowAttributes(op);
    const [height = 1, width = 1] = kernel;
    const [rate = 1, columnRate = 1] = rates;
    const [stride = 1, columnStride = 1] = strides;
    return ([operand]) => {
      const image = operand as Tensor;
      const [batch = 0, rows = 0, columns = 0, channels = 0] = image.shape;
      const down = windows(rows, (height - 1) * rate + 1, stride, isSame);
      const across = windows(columns, (width - 1) * columnRate + 1, columnStride, isSame);
      const shape = [batch, down.count, across.count, height * width * channels];
      if (elementCount(shape) > MAX_ELEMENTS) return refuse("patches of that size");
      const result = newArray(dtype, elementCount(shape));
      let place = 0;
      for (let of = 0; of < batch; of++) {
        for (let y = 0; y < down.count; y++) {
          for (let x = 0; x < across.count; x++) {
            for (let row = 0; row < height; row++) {
              for (let column = 0; column < width; column++, place += channels) {
                const from = y * stride - down.before + row * rate;
                const at = x * columnStride - across.before + column * columnRate;
                if (from < 0 || from >= rows || at < 0 || at >= columns) continue;
                const first = ((of * rows + from) * columns + at) * channels;
                result.set((image.data as Float32Array).subarray(first, first + channels) as never, place);
              }
            }
          }
        }
      }
      return [{ dtype, shape, data: result }];
    };
  },
);

export const CROP: LoweringTable = {
  CropAndResize: cropAndResize,
  ExtractImagePatches: patches,
};
