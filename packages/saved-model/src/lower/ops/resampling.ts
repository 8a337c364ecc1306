// Resizing of images with kernels that ONNX's Resize does not compute as TensorFlow does: cubic, area, and scale-and-translate
// (antialiased resizing). An image is resampled along its height and its width, each by a matrix of few weights a row.

import type { Tensor } from "@cloister/encoding/tensor";
import { elementsOf, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownInts } from "../value.ts";

/** No image may be larger. */
const MAX_ELEMENTS = 2 ** 27;

/** What one pixel of the result is made of. */
interface Span {
  readonly indices: readonly number[];
  readonly weights: readonly number[];
}

type Spans = (inputSize: number, outputSize: number, axis: 0 | 1) => readonly Span[];

function resample(image: Tensor, [height = 0, width = 0]: readonly number[], spansOf: Spans): Tensor {
  const [count = 0, rows = 0, columns = 0, channels = 0] = image.shape;
  if (image.shape.length !== 4 || rows === 0 || columns === 0 || height <= 0 || width <= 0) return refuse("no image");
  if (count * height * Math.max(width, columns) * channels > MAX_ELEMENTS) return refuse("an image of that size");
  const source = elementsOf(image) as number[];
  const across = spansOf(columns, width, 1);
  const down = spansOf(rows, height, 0);
  const narrow = new Float32Array(count * rows * width * channels);
  for (let line = 0; line < count * rows; line++) {
    for (const [x, { indices, weights }] of across.entries()) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (const [i, index] of indices.entries())
          sum += (weights[i] as number) * (source[(line * columns + index) * channels + c] as number);
        narrow[(line * width + x) * channels + c] = sum;
      }
    }
  }
  const result = new Float32Array(count * height * width * channels);
  const line = width * channels;
  for (let n = 0; n < count; n++) {
    for (const [y, { indices, weights }] of down.entries()) {
      for (let at = 0; at < line; at++) {
        let sum = 0;
        for (const [i, index] of indices.entries())
          sum += (weights[i] as number) * (narrow[(n * rows + index) * line + at] as number);
        result[(n * height + y) * line + at] = sum;
      }
    }
  }
  return { dtype: "float", shape: [count, height, width, channels], data: result };
}

/** An op over images and a size; `prepare` looks at further operands. */
function resizing(prepare: (op: Op) => (operands: readonly Tensor[]) => Spans): Lowering {
  return hostOp(
    (op) => {
      const { shape } = op.input(0);
      const [height = -1, width = -1] = knownInts(op.input(1)) ?? [];
      return [{ dtype: "float", shape: [shape?.[0] ?? -1, height, width, shape?.[3] ?? -1] }];
    },
    (op) => {
      if (op.input(0).dtype === "string" || op.input(0).dtype === "half") unlowerable(`on ${op.input(0).dtype}`);
      const spansFor = prepare(op);
      return ([image, size, ...operands]) => [resample(image as Tensor, integers(size as Tensor), spansFor(operands))];
    },
  );
}

const TABLE_SIZE = 1024;

/** Weights of a cubic at a distance below 1 and between 1 and 2. */
function cubic(a: number, x: number): number {
  return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

/** TensorFlow looks the weights up in a table of 1024 steps. With half pixels, what lies outside has no weight. */
const bicubic = resizing((op) => {
  const isAligned = op.attributes.bool("align_corners", false);
  const isHalfPixel = op.attributes.bool("half_pixel_centers", false);
  const a = isHalfPixel ? -0.5 : -0.75;
  return () => (input, output) => {
    const scale = isAligned && output > 1 ? (input - 1) / (output - 1) : input / output;
    return Array.from({ length: output }, (_, place): Span => {
      const at = isHalfPixel ? (place + 0.5) * scale - 0.5 : place * scale;
      const base = Math.floor(at);
      const step = Math.round((at - base) * TABLE_SIZE) / TABLE_SIZE;
      const indices = [base - 1, base, base + 1, base + 2];
      const weights = [cubic(a, 1 + step), cubic(a, step), cubic(a, 1 - step), cubic(a, 2 - step)];
      const inside = indices.map((index) => Math.min(Math.max(index, 0), input - 1));
      if (!isHalfPixel) return { indices: inside, weights };
      const kept = weights.map((weight, i) => (inside[i] === indices[i] ? weight : 0));
      const sum = kept.reduce((x, y) => x + y, 0);
      return { indices: inside, weights: kept.map((weight) => weight / sum) };
    });
  };
});

const area = resizing((op) => {
  const isAligned = op.attributes.bool("align_corners", false);
  return () => (input, output) => {
    const scale = isAligned && output > 1 ? (input - 1) / (output - 1) : input / output;
    return Array.from({ length: output }, (_, place): Span => {
      const [from, to] = [place * scale, (place + 1) * scale];
      const indices: number[] = [];
      const weights: number[] = [];
      for (let index = Math.floor(from); index < Math.ceil(to); index++) {
        indices.push(Math.min(Math.max(index, 0), input - 1));
        weights.push((Math.min(index + 1, to) - Math.max(index, from)) / scale);
      }
      return { indices, weights };
    });
  };
});

interface Kernel {
  readonly radius: number;
  readonly weight: (x: number) => number;
}

function lanczos(radius: number): Kernel {
  const weight = (x: number): number => {
    if (x > radius) return 0;
    if (x <= 1e-3) return 1;
    return (radius * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / radius)) / (Math.PI * Math.PI * x * x);
  };
  return { radius, weight };
}

const KERNELS: Readonly<Record<string, Kernel>> = {
  box: { radius: 1, weight: (x) => (x < 0.5 ? 1 : x === 0.5 ? 0.5 : 0) },
  gaussian: { radius: 1.5, weight: (x) => (x >= 1.5 ? 0 : Math.exp(-(x * x) / (2 * 0.5 * 0.5))) },
  keyscubic: { radius: 2, weight: (x) => (x >= 2 ? 0 : cubic(-0.5, x)) },
  lanczos1: lanczos(1),
  lanczos3: lanczos(3),
  lanczos5: lanczos(5),
  mitchellcubic: {
    radius: 2,
    weight: (x) => {
      if (x >= 2) return 0;
      return x >= 1 ? (((-7 / 18) * x + 2) * x - 10 / 3) * x + 16 / 9 : ((7 / 6) * x - 2) * x * x + 8 / 9;
    },
  },
  triangle: { radius: 1, weight: (x) => Math.max(1 - x, 0) },
};

/** Further operands: scale and translation of height and width. */
const scaleAndTranslate = resizing((op) => {
  const name = op.attributes.string("kernel_type", "lanczos3");
  const kernel = (Object.hasOwn(KERNELS, name) ? KERNELS[name] : undefined) ?? unlowerable(`with the kernel ${name}`);
  const antialias = op.attributes.bool("antialias", true);
  return ([scales, translations]) =>
    (input, output, axis) => {
      const [scale, translation] = [scales, translations].map((each) => Number((each as Tensor).data[axis])) as [
        number,
        number,
      ];
      if (!(scale > 0)) return refuse("an image is scaled to nothing");
      const inverse = 1 / scale;
      const stretch = antialias ? Math.max(inverse, 1) : 1;
      return Array.from({ length: output }, (_, place): Span => {
        const at = (place + 0.5) * inverse - inverse * translation;
        if (at < 0 || at > input) return { indices: [], weights: [] };
        const reach = kernel.radius * stretch;
        const first = Math.min(Math.max(Math.ceil(at - reach - 0.5), 0), input - 1);
        const last = Math.min(Math.max(Math.floor(at + reach - 0.5), 0), input - 1);
        const indices = Array.from({ length: last - first + 1 }, (_each, i) => first + i);
        const weights = indices.map((index) => kernel.weight(Math.abs((index + 0.5 - at) / stretch)));
        const sum = weights.reduce((x, y) => x + y, 0);
        return Math.abs(sum) < 1e-30
          ? { indices: [], weights: [] }
          : { indices, weights: weights.map((weight) => weight / sum) };
      });
    };
});

export const RESAMPLING: LoweringTable = {
  ResizeArea: area,
  ResizeBicubic: bicubic,
  ScaleAndTranslate: scaleAndTranslate,
};
