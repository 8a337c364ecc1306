// PNG (ISO/IEC 15948): all colour types and bit depths, interlaced or not.

import { inflateSync } from "node:zlib";
import { refuse } from "../refusal.ts";
import { type Picture, requirePixels } from "./picture.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly color: number;
  readonly isInterlaced: boolean;
}

/** Samples a pixel by colour type: grey, RGB, palette, grey with alpha, RGB with alpha. */
const SAMPLES: Readonly<Record<number, 1 | 2 | 3 | 4>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** Start and step of each pass of an interlaced picture: x, y, step of x, step of y. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Decodes a PNG. A palette becomes RGB, with alpha where it has some. @throws HostRefusal */
export function decodePng(bytes: Uint8Array): Picture {
  if (!isPng(bytes)) return refuse("a picture is no PNG");
  const chunks = chunksOf(bytes);
  const header = headerOf(chunks.get("IHDR")?.[0]);
  const { width, height, depth, color } = header;
  const samples = SAMPLES[color] as 1 | 2 | 3 | 4;
  const passes = header.isInterlaced ? PASSES : ([[0, 0, 1, 1]] as const);
  const layout = passes.map(([x, y, dx, dy]) => ({
    x,
    y,
    dx,
    dy,
    columns: Math.ceil((width - x) / dx),
    rows: Math.ceil((height - y) / dy),
  }));
  const lineBytes = (columns: number): number => Math.ceil((columns * samples * depth) / 8);
  const total = layout.reduce((sum, { columns, rows }) => sum + (columns > 0 ? rows * (lineBytes(columns) + 1) : 0), 0);
  const data = inflate(chunks.get("IDAT") ?? [], total);
  const result = depth === 16 ? new Uint16Array(width * height * samples) : new Uint8Array(width * height * samples);
  let offset = 0;
  for (const { x, y, dx, dy, columns, rows } of layout) {
    if (columns <= 0) continue;
    const size = lineBytes(columns);
    let before: Uint8Array = new Uint8Array(size);
    for (let row = 0; row < rows; row++) {
      const line = data.subarray(offset + 1, offset + 1 + size);
      unfilter(data[offset] ?? 0, line, before, Math.max((samples * depth) >> 3, 1));
      const first = (y + row * dy) * width;
      for (let i = 0; i < columns * samples; i++) {
        const column = Math.floor(i / samples);
        result[(first + x + column * dx) * samples + (i % samples)] = sampleAt(line, i, depth);
      }
      before = line;
      offset += size + 1;
    }
  }
  if (color === 3) return fromPalette(result as Uint8Array, header, chunks);
  return { width, height, channels: samples, samples: depth < 8 ? spread(result as Uint8Array, depth) : result };
}

function chunksOf(bytes: Uint8Array): ReadonlyMap<string, Uint8Array[]> {
  const chunks = new Map<string, Uint8Array[]>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 8; offset + 12 <= bytes.length;) {
    const length = view.getUint32(offset);
    const name = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (offset + 12 + length > bytes.length) refuse("a PNG is cut short");
    const known = chunks.get(name) ?? [];
    known.push(bytes.subarray(offset + 8, offset + 8 + length));
    chunks.set(name, known);
    if (name === "IEND") break;
    offset += 12 + length;
  }
  return chunks;
}

function headerOf(chunk: Uint8Array | undefined): Header {
  if (chunk?.length !== 13) return refuse("a PNG has no header");
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth = 0, color = 0, compression, filter, interlace] = chunk.subarray(8);
  requirePixels(width, height);
  if (!DEPTHS[color]?.includes(depth) || compression !== 0 || filter !== 0)
    return refuse("a PNG has an unknown format");
  return { width, height, depth, color, isInterlaced: interlace === 1 };
}

function inflate(parts: readonly Uint8Array[], total: number): Uint8Array {
  let data: Uint8Array;
  try {
    data = inflateSync(Buffer.concat(parts), { maxOutputLength: total + 1 });
  } catch {
    return refuse("a PNG cannot be unpacked");
  }
  return data.length >= total ? data : refuse("a PNG is cut short");
}

function unfilter(filter: number, line: Uint8Array, before: Uint8Array, distance: number): void {
  if (filter === 0) return;
  for (let i = 0; i < line.length; i++) {
    const left = i < distance ? 0 : (line[i - distance] as number);
    const up = before[i] as number;
    const corner = i < distance ? 0 : (before[i - distance] as number);
    line[i] = (line[i] as number) + predicted(filter, left, up, corner);
  }
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter !== 4) return refuse("a PNG has an unknown filter");
  const estimate = left + up - corner;
  const [toLeft, toUp, toCorner] = [left, up, corner].map((each) => Math.abs(estimate - each)) as [
    number,
    number,
    number,
  ];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function sampleAt(line: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return line[index] as number;
  if (depth === 16) return ((line[2 * index] as number) << 8) | (line[2 * index + 1] as number);
  const bit = index * depth;
  return ((line[bit >> 3] as number) >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Small samples over the whole range of a byte. */
function spread(samples: Uint8Array, depth: number): Uint8Array {
  const factor = 255 / ((1 << depth) - 1);
  return samples.map((sample) => sample * factor);
}

function fromPalette(
  indices: Uint8Array,
  { width, height }: Header,
  chunks: ReadonlyMap<string, Uint8Array[]>,
): Picture {
  const [palette] = chunks.get("PLTE") ?? [];
  const [alpha] = chunks.get("tRNS") ?? [];
  if (!palette) return refuse("a PNG has no palette");
  const channels = alpha ? 4 : 3;
  const samples = new Uint8Array(indices.length * channels);
  for (const [pixel, index] of indices.entries()) {
    if (3 * index + 2 >= palette.length) refuse("a PNG uses a colour that it does not have");
    samples.set(palette.subarray(3 * index, 3 * index + 3), pixel * channels);
    if (alpha) samples[pixel * channels + 3] = alpha[index] ?? 255;
  }
  return { width, height, channels, samples };
}
