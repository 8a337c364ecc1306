// Colours of images: each pixel by itself, on the host.

import type { Tensor } from "@cloister/encoding/tensor";
import { refuse } from "../../host/refusal.ts";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

type Pixel = readonly [number, number, number];

function rgbToHsv([r, g, b]: Pixel): Pixel {
  const value = Math.max(r, g, b);
  const range = value - Math.min(r, g, b);
  const saturation = value > 0 ? range / value : 0;
  if (range <= 0) return [0, saturation, value];
  const norm = 1 / (6 * range);
  let hue = norm * (r - g) + 4 / 6;
  if (r === value) hue = norm * (g - b);
  else if (g === value) hue = norm * (b - r) + 2 / 6;
  return [hue < 0 ? hue + 1 : hue, saturation, value];
}

const clamp = (x: number): number => Math.min(Math.max(x, 0), 1);

function hsvToRgb([h, s, v]: Pixel): Pixel {
  const sixth = h * 6;
  const part = (ramp: number): number => (1 - s + s * clamp(ramp)) * v;
  return [part(Math.abs(sixth - 3) - 1), part(2 - Math.abs(sixth - 2)), part(2 - Math.abs(sixth - 4))];
}

/** Maps each pixel; a second operand is a scalar for all of them. */
function perPixel(map: (pixel: Pixel, scalar: number) => Pixel): Lowering {
  return hostOp(
    sameShape((op) => op.input(0).dtype),
    (op) => {
      const { dtype } = op.input(0);
      if (dtype !== "float" && dtype !== "double") return unlowerable(`on ${dtype}`);
      return ([image, operand]) => {
        const { shape, data } = image as Tensor;
        if (shape.at(-1) !== 3) refuse("its pixels have no three channels");
        const scalar = Number(operand?.data[0] ?? 0);
        const result = newArray(dtype, data.length) as Float32Array;
        const source = data as Float32Array;
        for (let at = 0; at < result.length; at += 3) {
          result.set(map([source[at] as number, source[at + 1] as number, source[at + 2] as number], scalar), at);
        }
        return [{ dtype, shape, data: result }];
      };
    },
  );
}

/** Distances from the mean of each image's channel. Operands: images, factor. */
const contrast: Lowering = hostOp(
  sameShape((op) => op.input(0).dtype),
  (op) => {
    if (op.input(0).dtype !== "float") return unlowerable(`on ${op.input(0).dtype}`);
    return ([images, factor]) => {
      const { shape, data } = images as Tensor;
      const [height, width, channels] = shape.slice(-3) as [number, number, number];
      if (channels === undefined) return refuse("no image");
      const by = Number((factor as Tensor).data[0]);
      const source = data as Float32Array;
      const result = new Float32Array(source.length);
      const size = height * width * channels;
      for (let image = 0; image < source.length; image += size) {
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let at = image + c; at < image + size; at += channels) sum += source[at] as number;
          const mean = sum / (height * width);
          for (let at = image + c; at < image + size; at += channels)
            result[at] = ((source[at] as number) - mean) * by + mean;
        }
      }
      return [{ dtype: "float", shape, data: result }];
    };
  },
);

export const COLOR: LoweringTable = {
  AdjustContrastv2: contrast,
  AdjustHue: perPixel((pixel, delta) => {
    const [hue, saturation, value] = rgbToHsv(pixel);
    const turned = (hue + delta) % 1;
    return hsvToRgb([turned < 0 ? turned + 1 : turned, saturation, value]);
  }),
  AdjustSaturation: perPixel((pixel, scale) => {
    const [hue, saturation, value] = rgbToHsv(pixel);
    return hsvToRgb([hue, clamp(saturation * scale), value]);
  }),
  HSVToRGB: perPixel(hsvToRgb),
  RGBToHSV: perPixel(rgbToHsv),
};
