// For tests: model directories and the digits images, read from disk.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { inflateSync } from "node:zlib";
import type { ModelFiles } from "@cloister/saved-model";

/** The files below a directory, as a model is passed around. */
export function readModelDir(dir: string): ModelFiles {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [relative(dir, path).replaceAll(sep, "/"), new Uint8Array(readFileSync(path))];
    }),
  );
}

/** Pixels of an 8x8 PNG of 8-bit grey without interlacing, each 0..255. */
export function readGreyPng(path: string): Uint8Array {
  const file = readFileSync(path);
  const parts: Buffer[] = [];
  for (let offset = 8; offset < file.length;) {
    const length = file.readUInt32BE(offset);
    if (file.toString("latin1", offset + 4, offset + 8) === "IDAT")
      parts.push(file.subarray(offset + 8, offset + 8 + length));
    offset += length + 12;
  }
  return unfilter(inflateSync(Buffer.concat(parts)), 8);
}

function unfilter(scanlines: Buffer, width: number): Uint8Array {
  const height = scanlines.length / (width + 1);
  const pixels = new Uint8Array(width * height);
  const at = (row: number, column: number): number => (row < 0 || column < 0 ? 0 : (pixels[row * width + column] ?? 0));
  for (let row = 0; row < height; row++) {
    const filter = scanlines[row * (width + 1)] ?? 0;
    for (let column = 0; column < width; column++) {
      const raw = scanlines[row * (width + 1) + 1 + column] ?? 0;
      const [left, up, corner] = [at(row, column - 1), at(row - 1, column), at(row - 1, column - 1)];
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
      pixels[row * width + column] = raw + predicted;
    }
  }
  return pixels;
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [dl, du, dc] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  return dl <= du && dl <= dc ? left : du <= dc ? up : corner;
}
