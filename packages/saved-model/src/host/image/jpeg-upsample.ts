// Colour planes of half the size are brought to full size as libjpeg's "fancy upsampling" does: a sample is three parts of the
// nearer neighbour and one of the other, with its rounding.

/** A plane whose first `width` x `height` samples are picture. */
interface Plane {
  readonly samples: Uint8ClampedArray;
  readonly stride: number;
  readonly width: number;
  readonly height: number;
  /** How many times wider and higher the picture is. */
  readonly across: number;
  readonly down: number;
}

/** The plane at the size of the picture, row by row. */
export function upsampled(plane: Plane, width: number, height: number): Uint8Array {
  const { across, down } = plane;
  const isFancy = plane.width > 2 && (across === 1 || across === 2) && (down === 1 || down === 2) && across * down > 1;
  const result = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const line = isFancy ? fancyLine(plane, y) : plainLine(plane, y, width);
    result.set(line.subarray(0, width), y * width);
  }
  return result;
}

function rowOf({ samples, stride, width, height }: Plane, row: number): Uint8ClampedArray {
  const inside = Math.min(Math.max(row, 0), height - 1);
  return samples.subarray(inside * stride, inside * stride + width);
}

function plainLine(plane: Plane, y: number, width: number): Uint8ClampedArray {
  const row = rowOf(plane, Math.floor(y / plane.down));
  return Uint8ClampedArray.from(
    { length: width },
    (_, x) => row[Math.min(Math.floor(x / plane.across), plane.width - 1)] ?? 0,
  );
}

function fancyLine(plane: Plane, y: number): Uint8ClampedArray {
  const { across, down, width } = plane;
  if (down === 1) return doubled(Int32Array.from(rowOf(plane, y)), 1, [2, 1]);
  const row = rowOf(plane, y >> 1);
  const other = rowOf(plane, (y >> 1) + ((y & 1) === 0 ? -1 : 1));
  const sums = Int32Array.from({ length: width }, (_, x) => (row[x] as number) * 3 + (other[x] as number));
  if (across === 2) return doubled(sums, 4, [7, 8]);
  const bias = (y & 1) === 0 ? 1 : 2;
  return Uint8ClampedArray.from(sums, (sum) => (sum + bias) >> 2);
}

/** Twice as many samples; `scale` is what the sums are worth, `bias` rounds the right and the left half. */
function doubled(sums: Int32Array, scale: 1 | 4, [right, left]: readonly [number, number]): Uint8ClampedArray {
  const shift = scale === 1 ? 2 : 4;
  const result = new Uint8ClampedArray(sums.length * 2);
  const last = sums.length - 1;
  for (const [x, sum] of sums.entries()) {
    // At the ends there is no further neighbour: four parts of the own one.
    const before = x === 0 ? sum : (sums[x - 1] as number);
    const after = x === last ? sum : (sums[x + 1] as number);
    result[2 * x] = (sum * 3 + before + left) >> shift;
    result[2 * x + 1] = (sum * 3 + after + right) >> shift;
  }
  return result;
}
