// JPEG (ITU-T T.81), 8 bits a sample, sequential and progressive, as libjpeg decodes it: accurate DCT, "fancy" upsampling.

import { refuse } from "../refusal.ts";
import { fastInverseDct, fastSteps } from "./jpeg-fast-idct.ts";
import { inverseDct } from "./jpeg-idct.ts";
import { type Component, type Huffman, huffmanTable, naturalOrder, readScan } from "./jpeg-scan.ts";
import { upsampled } from "./jpeg-upsample.ts";
import { type Picture, requirePixels } from "./picture.ts";

/** Scans of a picture; a progressive one has about ten. */
const MAX_SCANS = 100;

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly isProgressive: boolean;
  readonly components: readonly Component[];
  readonly unitsPerLine: number;
  readonly unitsPerColumn: number;
  readonly hMax: number;
  readonly vMax: number;
}

export interface JpegOptions {
  /** Only the luminance. */
  readonly wantsGrey?: boolean;
  /** The slower transform instead of TensorFlow's default. */
  readonly isAccurate?: boolean;
}

/** Decodes a JPEG to grey, or to RGB. @throws HostRefusal */
export function decodeJpeg(bytes: Uint8Array, options: JpegOptions = {}): Picture {
  if (!isJpeg(bytes)) return refuse("a picture is no JPEG");
  return new JpegDecoder(bytes, options.isAccurate === true).decode(options.wantsGrey === true);
}

class JpegDecoder {
  readonly #bytes: Uint8Array;
  readonly #isAccurate: boolean;
  readonly #quantization = new Map<number, Uint16Array>();
  readonly #huffman = new Map<number, Huffman>();
  #frame: Frame | undefined;
  #restartInterval = 0;
  #adobeTransform: number | undefined;
  #isJfif = false;

  constructor(bytes: Uint8Array, isAccurate: boolean) {
    this.#bytes = bytes;
    this.#isAccurate = isAccurate;
  }

  decode(wantsGrey: boolean): Picture {
    let scans = 0;
    for (let offset = 2; offset < this.#bytes.length;) {
      if (this.#bytes[offset] !== 0xff) refuse("a JPEG is damaged");
      const marker = this.#bytes[offset + 1] ?? 0;
      if (marker === 0xff) {
        offset += 1;
        continue;
      }
      if (marker === 0xd9) break;
      const length = ((this.#bytes[offset + 2] ?? 0) << 8) | (this.#bytes[offset + 3] ?? 0);
      const segment = this.#bytes.subarray(offset + 4, offset + 2 + length);
      if (length < 2 || segment.length !== length - 2) refuse("a JPEG is cut short");
      offset += 2 + length;
      if (marker === 0xda) {
        if (++scans > MAX_SCANS) refuse("a JPEG has too many scans");
        offset = this.#scan(segment, offset);
      } else this.#segment(marker, segment);
    }
    if (!this.#frame || scans === 0) return refuse("a JPEG holds no picture");
    return this.#picture(this.#frame, wantsGrey);
  }

  #segment(marker: number, segment: Uint8Array): void {
    if (marker === 0xdb) this.#readQuantization(segment);
    else if (marker === 0xc4) this.#readHuffman(segment);
    else if (marker === 0xdd) this.#restartInterval = ((segment[0] ?? 0) << 8) | (segment[1] ?? 0);
    else if (marker >= 0xc0 && marker <= 0xc2) this.#readFrame(segment, marker === 0xc2);
    else if (marker >= 0xc3 && marker <= 0xcf && marker !== 0xc8) refuse("a JPEG is of a kind that is not used");
    else if (marker === 0xe0 && text(segment, 4) === "JFIF") this.#isJfif = true;
    else if (marker === 0xee && text(segment, 5) === "Adobe") this.#adobeTransform = segment[11] ?? 0;
  }

  #readQuantization(segment: Uint8Array): void {
    for (let at = 0; at < segment.length;) {
      const [precision, id] = [(segment[at] as number) >> 4, (segment[at] as number) & 15];
      at += 1;
      const table = new Uint16Array(64);
      for (let k = 0; k < 64; k++) {
        table[naturalOrder(k)] =
          precision === 0 ? (segment[at] ?? 0) : ((segment[at] ?? 0) << 8) | (segment[at + 1] ?? 0);
        at += precision === 0 ? 1 : 2;
      }
      this.#quantization.set(id, table);
    }
  }

  #readHuffman(segment: Uint8Array): void {
    for (let at = 0; at + 17 <= segment.length;) {
      const id = segment[at] as number;
      const counts = segment.subarray(at + 1, at + 17);
      const total = counts.reduce((sum, count) => sum + count, 0);
      this.#huffman.set(id, huffmanTable(counts, segment.subarray(at + 17, at + 17 + total)));
      at += 17 + total;
    }
  }

  #readFrame(segment: Uint8Array, isProgressive: boolean): void {
    const [precision, h1 = 0, h0 = 0, w1 = 0, w0 = 0, count = 0] = segment;
    const [height, width] = [(h1 << 8) | h0, (w1 << 8) | w0];
    requirePixels(width, height);
    if (this.#frame || precision !== 8 || ![1, 3, 4].includes(count)) refuse("a JPEG is of a kind that is not used");
    const raw = Array.from({ length: count }, (_, index) => {
      const [id = 0, sampling = 0, quantization = 0] = segment.subarray(6 + 3 * index, 9 + 3 * index);
      return { id, h: sampling >> 4, v: sampling & 15, quantization };
    });
    if (raw.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4)) refuse("a JPEG is damaged");
    const [hMax, vMax] = [Math.max(...raw.map(({ h }) => h)), Math.max(...raw.map(({ v }) => v))];
    const unitsPerLine = Math.ceil(width / (8 * hMax));
    const unitsPerColumn = Math.ceil(height / (8 * vMax));
    const components = raw.map(({ id, h, v, quantization }): Component => {
      const [blocksPerLine, blocksPerColumn] = [unitsPerLine * h, unitsPerColumn * v];
      return {
        id,
        h,
        v,
        quantization,
        blocksPerLine,
        blocksPerColumn,
        ownPerLine: Math.ceil(Math.ceil((width * h) / hMax) / 8),
        ownPerColumn: Math.ceil(Math.ceil((height * v) / vMax) / 8),
        coefficients: new Int16Array(blocksPerLine * blocksPerColumn * 64),
      };
    });
    this.#frame = { width, height, isProgressive, components, unitsPerLine, unitsPerColumn, hMax, vMax };
  }

  #scan(segment: Uint8Array, offset: number): number {
    const frame = this.#frame ?? refuse("a JPEG is damaged");
    const count = segment[0] ?? 0;
    if (count < 1 || count > 4) refuse("a JPEG is damaged");
    const components = Array.from({ length: count }, (_, index) => {
      const [id, tables = 0] = segment.subarray(1 + 2 * index, 3 + 2 * index);
      const component = frame.components.find((each) => each.id === id) ?? refuse("a JPEG is damaged");
      return { component, dc: this.#huffman.get(tables >> 4), ac: this.#huffman.get(16 | (tables & 15)) };
    });
    const [spectralStart = 0, spectralEnd = 63, approximation = 0] = segment.subarray(1 + 2 * count);
    if (spectralStart > spectralEnd || spectralEnd > 63) refuse("a JPEG is damaged");
    return readScan(this.#bytes, offset, {
      components,
      spectralStart,
      spectralEnd,
      high: approximation >> 4,
      low: approximation & 15,
      restartInterval: this.#restartInterval,
      unitsPerLine: frame.unitsPerLine,
      unitsPerColumn: frame.unitsPerColumn,
      isProgressive: frame.isProgressive,
    });
  }

  #picture(frame: Frame, wantsGrey: boolean): Picture {
    const { width, height, components } = frame;
    const needed = wantsGrey && components.length === 3 && this.#isYcc(frame) ? components.slice(0, 1) : components;
    const planes = needed.map((component) => upsampled(this.#plane(component, frame), width, height));
    if (planes.length === 1) return { width, height, channels: 1, samples: Uint8Array.from(planes[0] ?? []) };
    const samples = this.#toRgb(frame, planes, width * height);
    if (!wantsGrey) return { width, height, channels: 3, samples };
    return { width, height, channels: 1, samples: greyOf(samples) };
  }

  #plane(component: Component, { width, height, hMax, vMax }: Frame): Parameters<typeof upsampled>[0] {
    const { blocksPerLine, blocksPerColumn, coefficients, h, v } = component;
    const table = this.#quantization.get(component.quantization) ?? refuse("a JPEG is damaged");
    const steps = this.#isAccurate ? table : fastSteps(table);
    const transform = this.#isAccurate ? inverseDct : fastInverseDct;
    const stride = blocksPerLine * 8;
    const samples = new Uint8ClampedArray(stride * blocksPerColumn * 8);
    const block = new Int32Array(64);
    for (let index = 0; index < blocksPerLine * blocksPerColumn; index++) {
      for (let k = 0; k < 64; k++) block[k] = (coefficients[index * 64 + k] as number) * (steps[k] as number);
      const [row, column] = [Math.floor(index / blocksPerLine), index % blocksPerLine];
      transform(block, samples, row * 8 * stride + column * 8, stride);
    }
    const own = { width: Math.ceil((width * h) / hMax), height: Math.ceil((height * v) / vMax) };
    return { samples, stride, ...own, across: hMax / h, down: vMax / v };
  }

  #isYcc({ components }: Frame): boolean {
    if (this.#adobeTransform !== undefined) return this.#adobeTransform !== 0;
    return this.#isJfif || components.map(({ id }) => String.fromCharCode(id)).join("") !== "RGB";
  }

  #toRgb(frame: Frame, planes: readonly Uint8Array[], count: number): Uint8Array {
    const samples = new Uint8ClampedArray(count * 3);
    const [first, second, third, black] = planes as [Uint8Array, Uint8Array, Uint8Array, Uint8Array | undefined];
    const isYcc = black ? this.#adobeTransform === 2 : this.#isYcc(frame);
    for (let i = 0; i < count; i++) {
      const [y, cb, cr] = [first[i] as number, (second[i] as number) - 128, (third[i] as number) - 128];
      if (isYcc) {
        samples[3 * i] = y + ((91881 * cr + 32768) >> 16);
        samples[3 * i + 1] = y + ((-22554 * cb - 46802 * cr + 32768) >> 16);
        samples[3 * i + 2] = y + ((116130 * cb + 32768) >> 16);
      } else {
        samples.set([y, cb + 128, cr + 128], 3 * i);
      }
      if (!black) continue;
      // Adobe's inks are stored the other way round: 255 is none. YCCK holds them turned once more.
      const k = black[i] as number;
      for (let c = 0; c < 3; c++) {
        const stored = samples[3 * i + c] as number;
        const ink = this.#adobeTransform === 2 ? 255 - stored : stored;
        samples[3 * i + c] = Math.trunc((this.#adobeTransform === undefined ? (255 - k) * (255 - ink) : k * ink) / 255);
      }
    }
    return new Uint8Array(samples.buffer);
  }
}

function greyOf(rgb: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: rgb.length / 3 }, (_, i) => {
    const [r, g, b] = [rgb[3 * i] as number, rgb[3 * i + 1] as number, rgb[3 * i + 2] as number];
    return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
  });
}

function text(bytes: Uint8Array, length: number): string {
  return String.fromCharCode(...bytes.subarray(0, length));
}
