import { refuse } from "../refusal.ts";

/** A decoded picture: rows of pixels, each of `channels` samples of 8 or 16 bits. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly samples: Uint8Array | Uint16Array;
}

/** No picture may have more pixels: a request could ask for any amount of memory otherwise. */
const MAX_PIXELS = 2 ** 26;

export function requirePixels(width: number, height: number): number {
  const count = width * height;
  return width > 0 && height > 0 && count <= MAX_PIXELS ? count : refuse("a picture of that size");
}
