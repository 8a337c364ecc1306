import type { NumericArray, Tensor } from "@cloister/encoding/tensor";
import { elementsOf, integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { knownInts } from "../value.ts";

/** No result may be larger. */
const MAX_ELEMENTS = 2 ** 27;

const { fround } = Math;

/** Where a coordinate outside of an image is taken from, by `fill_mode`. */
const FILL_MODES: Readonly<Record<string, (at: number, size: number) => number>> = {
  CONSTANT: (at) => at,
  NEAREST: (at, size) => Math.min(Math.max(at, 0), size - 1),
  /** d c b a | a b c d | d c b a */
  REFLECT: (at, size) => {
    if (at >= 0 && at <= size - 1) return at;
    if (size <= 1) return 0;
    const period = 2 * size;
    const inPeriod = fround(at - period * Math.floor(at / period));
    const folded = inPeriod >= size ? period - inPeriod - 1 : inPeriod;
    return Math.min(Math.max(folded, 0), size - 1);
  },
  /** a b c d | a b c d | a b c d, the period being one less than the size for what lies between. */
  WRAP: (at, size) => {
    if (at >= 0 && at <= size - 1) return at;
    if (size <= 1) return 0;
    const period = size - 1;
    const moved = at < 0 ? at + size * (Math.trunc(-at / period) + 1) : at - size * Math.trunc(at / period);
    return Math.min(Math.max(moved, 0), size - 1);
  },
};

/** C's `round`: halves away from zero. */
function rounded(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}

/** Each pixel of the result is fetched from where a projective transform of eight numbers takes its place to. */
const projectiveTransform: Lowering = hostOp(
  (op) => {
    const { dtype, shape } = op.input(0);
    const [height = -1, width = -1] = knownInts(op.input(2)) ?? [];
    return [{ dtype, shape: [shape?.[0] ?? -1, height, width, shape?.[3] ?? -1] }];
  },
  (op) => {
    const { dtype } = op.input(0);
    const isBilinear = op.attributes.string("interpolation", "") === "BILINEAR";
    const fillMode = op.attributes.string("fill_mode", "CONSTANT");
    const place = FILL_MODES[fillMode] ?? unlowerable(`the fill mode ${fillMode}`);
    if (dtype === "string" || dtype === "int64") return unlowerable(`on ${dtype}`);
    return ([images, transforms, sizes, fill]) => {
      const [batch = 0, height = 0, width = 0, channels = 0] = (images as Tensor).shape;
      const [rows = 0, columns = 0] = integers(sizes as Tensor);
      const count = batch * rows * columns * channels;
      if (rows < 0 || columns < 0 || count > MAX_ELEMENTS) return refuse("an image of that size");
      const source = (images as Tensor).data as NumericArray;
      const numbers = elementsOf(transforms as Tensor).map(Number);
      const outside = Number(fill ? (elementsOf(fill)[0] ?? 0) : 0);
      const data = newArray(dtype, count);
      let at = 0;
      for (let image = 0; image < batch; image++) {
        const first = numbers.length === 8 ? 0 : image * 8;
        const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = numbers.slice(first, first + 8);
        const read = (y: number, x: number, channel: number): number =>
          y >= 0 && y < height && x >= 0 && x < width
            ? Number(source[((image * height + y) * width + x) * channels + channel])
            : outside;
        for (let y = 0; y < rows; y++) {
          for (let x = 0; x < columns; x++) {
            const scale = fround(fround(fround(g * x) + fround(h * y)) + 1);
            const along = (p: number, q: number, r: number, size: number): number =>
              place(fround(fround(fround(fround(p * x) + fround(q * y)) + r) / scale), size);
            const [fromX, fromY] = [along(a, b, c, width), along(d, e, f, height)];
            for (let channel = 0; channel < channels; channel++) {
              const value =
                scale === 0
                  ? outside
                  : isBilinear
                    ? bilinear(fromY, fromX, (row, column) => read(row, column, channel))
                    : read(rounded(fromY), rounded(fromX), channel);
              data[at++] = value as never;
            }
          }
        }
      }
      return [{ dtype, shape: [batch, rows, columns, channels], data }];
    };
  },
);

function bilinear(y: number, x: number, read: (row: number, column: number) => number): number {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [down, right] = [fround(y - top), fround(x - left)];
  const row = (at: number): number =>
    fround(fround(fround(1 - right) * read(at, left)) + fround(right * read(at, left + 1)));
  return fround(fround(fround(1 - down) * row(top)) + fround(down * row(top + 1)));
}

export const WARP: LoweringTable = {
  ImageProjectiveTransformV2: projectiveTransform,
  ImageProjectiveTransformV3: projectiveTransform,
};
