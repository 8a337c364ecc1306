// Windows that slide over images and give more than ONNX's poolings do: where a maximum was, and maxima of sums.

import type { Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { Shape } from "../value.ts";

/** A window along one axis. */
interface Span {
  readonly size: number;
  readonly stride: number;
  readonly rate: number;
}

/** How many places a window takes along an axis, and where the first begins. */
function placesOf({ size, stride, rate }: Span, length: number, isSame: boolean): { count: number; start: number } {
  const reach = (size - 1) * rate + 1;
  if (!isSame) return { count: Math.max(Math.ceil((length - reach + 1) / stride), 0), start: 0 };
  const count = Math.ceil(length / stride);
  return { count, start: -Math.floor(Math.max((count - 1) * stride + reach - length, 0) / 2) };
}

function isSame(op: Op): boolean {
  const padding = op.attributes.string("padding", "VALID");
  return padding === "SAME" || padding === "VALID" ? padding === "SAME" : unlowerable(`with ${padding} padding`);
}

/** Height and width of a list attribute over four axes. */
function spans(op: Op, sizes: readonly number[], strides: string, rates?: string): [Span, Span] {
  const steps = op.attributes.ints(strides);
  const dilations = rates === undefined ? [1, 1, 1, 1] : op.attributes.ints(rates);
  if ([steps, dilations].some((each) => each[0] !== 1 || each[3] !== 1)) unlowerable("over batch or channels");
  const span = (axis: 1 | 2): Span => ({
    size: sizes[axis - 1] ?? 1,
    stride: steps[axis] ?? 1,
    rate: dilations[axis] ?? 1,
  });
  return [span(1), span(2)];
}

interface Best {
  readonly value: number | bigint;
  /** The place of the best element in the image, counted over its rows, columns and channels. */
  readonly place: number;
}

/** For each window and channel the largest element, `more` added to it. */
function largest(
  image: Tensor,
  [tall, wide]: readonly [Span, Span],
  same: boolean,
  more: (row: number, column: number, channel: number) => number,
): { shape: number[]; best: Best[] } {
  const [batch = 0, height = 0, width = 0, channels = 0] = image.shape;
  if (image.shape.length !== 4) return refuse("it is no batch of images");
  const [rows, columns] = [placesOf(tall, height, same), placesOf(wide, width, same)];
  const data = image.data as Float64Array;
  const best: Best[] = [];
  for (let n = 0; n < batch; n++) {
    for (let r = 0; r < rows.count; r++) {
      for (let c = 0; c < columns.count; c++) {
        for (let channel = 0; channel < channels; channel++) {
          let found: Best | undefined;
          for (let i = 0; i < tall.size; i++) {
            const y = rows.start + r * tall.stride + i * tall.rate;
            if (y < 0 || y >= height) continue;
            for (let j = 0; j < wide.size; j++) {
              const x = columns.start + c * wide.stride + j * wide.rate;
              if (x < 0 || x >= width) continue;
              const place = (y * width + x) * channels + channel;
              const own = data[n * height * width * channels + place] as number;
              const extra = more(i, j, channel);
              const value = extra === 0 ? own : own + extra;
              if (!found || value > (found.value as number)) found = { value, place };
            }
          }
          best.push(found ?? refuse("a window lies outside of the image"));
        }
      }
    }
  }
  return { shape: [batch, rows.count, columns.count, channels], best };
}

function windowShape(shape: Shape, [tall, wide]: readonly [Span, Span], same: boolean): Shape {
  const [n = -1, h = -1, w = -1, c = -1] = shape ?? [];
  const count = (span: Span, length: number): number => (length < 0 ? -1 : placesOf(span, length, same).count);
  return [n, count(tall, h), count(wide, w), c];
}

function numericDType({ dtype }: { readonly dtype: Tensor["dtype"] }): Exclude<Tensor["dtype"], "string"> {
  return dtype === "string" ? unlowerable("on strings") : dtype;
}

/** The largest elements, and where each one was. */
const maxPoolWithArgmax: Lowering = (op) => {
  const sizes = op.attributes.ints("ksize");
  if (sizes[0] !== 1 || sizes[3] !== 1) unlowerable("pooling over batch or channels");
  const windows = spans(op, sizes.slice(1, 3), "strides");
  const same = isSame(op);
  const index = op.attributes.dtype("Targmax") === "int32" ? "int32" : "int64";
  const withBatch = op.attributes.bool("include_batch_in_index", false);
  const dtype = numericDType(op.input(0));
  const shape = windowShape(op.input(0).shape, windows, same);
  const lowering = hostOp(
    () => [
      { dtype, shape },
      { dtype: index, shape },
    ],
    () =>
      ([image]) => {
        const found = largest(image as Tensor, windows, same, () => 0);
        const [batch = 0, height = 0, width = 0, channels = 0] = (image as Tensor).shape;
        const perImage = found.best.length / Math.max(batch, 1);
        const values = newArray(dtype, found.best.length);
        const places = newArray(index, found.best.length);
        for (const [at, { value, place }] of found.best.entries()) {
          values[at] = value as never;
          const whole = place + (withBatch ? Math.floor(at / perImage) * height * width * channels : 0);
          places[at] = (index === "int64" ? BigInt(whole) : whole) as never;
        }
        return [
          { dtype, shape: found.shape, data: values },
          { dtype: index, shape: found.shape, data: places },
        ];
      },
  );
  return lowering(op);
};

/** The largest sum of image and filter (grey-scale morphology). Operands: images, and a filter for each channel. */
const dilation2d: Lowering = (op) => {
  const filterShape = op.input(1).shape ?? unlowerable("with a filter of unknown shape");
  const windows = spans(op, filterShape, "strides", "rates");
  const same = isSame(op);
  const dtype = numericDType(op.input(0));
  const lowering = hostOp(
    () => [{ dtype, shape: windowShape(op.input(0).shape, windows, same) }],
    () =>
      ([image, filter]) => {
        const { shape, data } = filter as Tensor;
        const [, width = 0, channels = 0] = shape;
        if (shape.join() !== filterShape.join() || channels !== (image as Tensor).shape[3]) {
          return refuse("the filter does not fit the images");
        }
        const weights = data as Float64Array;
        const found = largest(
          image as Tensor,
          windows,
          same,
          (row, column, channel) => weights[(row * width + column) * channels + channel] as number,
        );
        const result = newArray(dtype, found.best.length);
        for (const [at, { value }] of found.best.entries()) result[at] = value as never;
        return [{ dtype, shape: found.shape, data: result }];
      },
  );
  return lowering(op);
};

export const WINDOWS: LoweringTable = {
  Dilation2D: dilation2d,
  MaxPoolWithArgmax: maxPoolWithArgmax,
};
