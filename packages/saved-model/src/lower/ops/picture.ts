// Pictures in requests: PNG and JPEG, decoded by the host.

import type { DType, Tensor } from "@cloister/encoding/tensor";
import { strings } from "../../host/elements.ts";
import { decodeJpeg, isJpeg } from "../../host/image/jpeg.ts";
import type { Picture } from "../../host/image/picture.ts";
import { decodePng } from "../../host/image/png.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

/** The wanted channels of a picture; 0 takes those that it has. */
function withChannels(picture: Picture, wanted: number): Picture {
  const { width, height, channels, samples } = picture;
  if (wanted === 0 || wanted === channels) return picture;
  const top = samples instanceof Uint16Array ? 65535 : 255;
  const count = width * height;
  const result = new (samples instanceof Uint16Array ? Uint16Array : Uint8Array)(count * wanted);
  const isGrey = channels < 3;
  for (let pixel = 0; pixel < count; pixel++) {
    const at = (channel: number): number => samples[pixel * channels + channel] as number;
    const alpha = channels === 2 || channels === 4 ? at(channels - 1) : top;
    const colors = isGrey ? [at(0), at(0), at(0)] : [at(0), at(1), at(2)];
    const [r = 0, g = 0, b = 0] = colors;
    // The weights that TensorFlow gives libpng, in parts of 32768.
    const grey = isGrey ? r : (9797 * r + 19234 * g + 3737 * b) >> 15;
    const pixels = wanted < 3 ? [grey, alpha] : [...colors, alpha];
    for (let channel = 0; channel < wanted; channel++) result[pixel * wanted + channel] = pixels[channel] as number;
  }
  return { width, height, channels: wanted as Picture["channels"], samples: result };
}

function toTensor({ width, height, channels, samples }: Picture, dtype: DType): Tensor {
  const shape = [height, width, channels];
  const isWide = samples instanceof Uint16Array;
  if (dtype === "uint8")
    return { dtype, shape, data: isWide ? Uint8Array.from(samples, (sample) => sample >> 8) : samples };
  if (dtype === "uint16")
    return { dtype, shape, data: isWide ? samples : Uint16Array.from(samples, (sample) => sample * 257) };
  if (dtype !== "float") return refuse("pixels of that dtype");
  // As TensorFlow scales: by the reciprocal, in single precision.
  const factor = Math.fround(1 / (isWide ? 65535 : 255));
  return { dtype, shape, data: Float32Array.from(samples, (sample) => sample * factor) };
}

/** Whatever the content is: TensorFlow's decoders of PNG and JPEG take each other's pictures. */
function decoder(defaultMethod: string): Lowering {
  return (op) => {
    const channels = op.attributes.int("channels", 0);
    if (op.attributes.int("ratio", 1) !== 1) unlowerable("at a reduced size");
    const dtype = op.attributes.dtype("dtype") ?? "uint8";
    const isAccurate = (op.attributes.string("dct_method", "") || defaultMethod) === "INTEGER_ACCURATE";
    const decode = (bytes: Uint8Array): Picture =>
      isJpeg(bytes) ? decodeJpeg(bytes, { wantsGrey: channels === 1, isAccurate }) : decodePng(bytes);
    const lowering = hostOp(
      () => [{ dtype, shape: [-1, -1, channels === 0 ? -1 : channels] }],
      () =>
        ([contents]) => {
          const [bytes, ...others] = strings(contents as Tensor);
          if (!bytes || others.length > 0) return refuse("one picture is decoded at a time");
          return [toTensor(withChannels(decode(bytes), channels), dtype)];
        },
    );
    return lowering(op);
  };
}

export const PICTURE: LoweringTable = {
  DecodeImage: decoder("INTEGER_FAST"),
  DecodeJpeg: decoder("INTEGER_FAST"),
  DecodePng: decoder("INTEGER_FAST"),
};
