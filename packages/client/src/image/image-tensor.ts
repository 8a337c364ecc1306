import type { Tensor } from "@cloister/encoding/tensor";
import sharp from "sharp";
import { ClientError } from "../errors.ts";

/** Largest picture that is decoded: a small file can claim a huge one. */
const MAX_PIXELS = 64 * 1024 * 1024;

export interface ImageOptions {
  readonly width: number;
  readonly height: number;
  readonly channels: "grayscale" | "rgb";
  /**
   * Maps a sample of 0 to 255 to `sample * scale + offset`. Default scale 1/255 and offset 0: values from 0 to 1. The
   * 8x8 digits of scikit-learn have values from 0 to 16: scale 16/255.
   */
  readonly scale?: number;
  readonly offset?: number;
  /** Shape of the batch of one: `flat` is [1, height * width * channels]. Default `nhwc`: [1, height, width, channels]. */
  readonly layout?: "nhwc" | "flat";
}

/**
 * Decodes a PNG, JPEG or other picture to a float tensor with a batch of one: resized to the exact size, transparent parts
 * on black. Throws IMAGE_INVALID.
 */
export async function imageToTensor(encoded: Uint8Array, options: ImageOptions): Promise<Tensor> {
  const samples = await decodeSamples(encoded, options);
  const { scale = 1 / 255, offset = 0 } = options;
  const data = Float32Array.from(samples, (sample) => sample * scale + offset);
  const channels = options.channels === "rgb" ? 3 : 1;
  const isFlat = options.layout === "flat";
  const shape = isFlat ? [1, data.length] : [1, options.height, options.width, channels];
  return { dtype: "float", shape, data };
}

async function decodeSamples(encoded: Uint8Array, { width, height, channels }: ImageOptions): Promise<Uint8Array> {
  try {
    const picture = sharp(encoded, { limitInputPixels: MAX_PIXELS, failOn: "error" })
      .autoOrient()
      .flatten({ background: "black" })
      .resize(width, height, { fit: "fill" })
      .toColourspace(channels === "rgb" ? "srgb" : "b-w");
    return await picture.raw({ depth: "uchar" }).toBuffer();
  } catch (cause) {
    throw new ClientError(
      "IMAGE_INVALID",
      {
        what: "the image cannot be decoded",
        why: "it is no picture, damaged or too large",
        remedy: "give a PNG or JPEG file",
      },
      { cause },
    );
  }
}
