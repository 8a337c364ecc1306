const SHADES = " .:-=+*#%@";
const GAP = "   ";

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 8-bit gray values, row by row. */
  readonly gray: Uint8Array;
}

/** Draws small pictures side by side in characters, two characters a pixel. All have the height of the first. */
export function drawPictures(pictures: readonly Picture[]): string {
  const height = pictures[0]?.height ?? 0;
  const rows = Array.from({ length: height }, (_, y) => pictures.map((picture) => drawRow(picture, y)).join(GAP));
  return rows.map((row) => row.trimEnd()).join("\n");
}

function drawRow({ width, gray }: Picture, y: number): string {
  const pixels = gray.subarray(y * width, (y + 1) * width);
  return Array.from(pixels, (value) => shade(value).repeat(2)).join("");
}

function shade(value: number): string {
  return SHADES[Math.min(SHADES.length - 1, (value * SHADES.length) >> 8)] ?? " ";
}
