/** Complex numbers of a row: the real and the imaginary parts. */
export interface ComplexRow {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

export function complexRow(length: number): ComplexRow {
  return { real: new Float64Array(length), imaginary: new Float64Array(length) };
}

/** The discrete Fourier transform of a row, of any length. The inverse one is divided by the length. */
export function fourier(row: ComplexRow, isInverse: boolean): ComplexRow {
  const { length } = row.real;
  // The inverse is the transform with real and imaginary parts exchanged.
  const turned = isInverse ? { real: row.imaginary, imaginary: row.real } : row;
  const result = (length & (length - 1)) === 0 ? transformPower(turned) : transformAny(turned);
  if (!isInverse) return result;
  const scale = (part: Float64Array): Float64Array => part.map((value) => value / length);
  return { real: scale(result.imaginary), imaginary: scale(result.real) };
}

/** Cosines and sines of -2 pi k / n, by n: a model transforms rows of few lengths. */
const rotations = new Map<number, ComplexRow>();
const MAX_KEPT = 16;

function rotationsOf(n: number): ComplexRow {
  const known = rotations.get(n);
  if (known) return known;
  const angles = Float64Array.from({ length: n }, (_, k) => (-2 * Math.PI * k) / n);
  const made = { real: angles.map(Math.cos), imaginary: angles.map(Math.sin) };
  if (rotations.size >= MAX_KEPT) rotations.clear();
  rotations.set(n, made);
  return made;
}

/** Cooley and Tukey's transform, for powers of two. */
function transformPower(row: ComplexRow): ComplexRow {
  const n = row.real.length;
  const { real, imaginary } = complexRow(n);
  for (let index = 0, place = 0; index < n; index++) {
    real[place] = row.real[index] as number;
    imaginary[place] = row.imaginary[index] as number;
    // Counts in reversed bits.
    let bit = n >> 1;
    for (; place & bit; bit >>= 1) place ^= bit;
    place |= bit;
  }
  const turns = rotationsOf(n);
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    const step = n / size;
    for (let start = 0; start < n; start += size) {
      for (let k = 0; k < half; k++) {
        const [low, high] = [start + k, start + k + half];
        const [cos, sin] = [turns.real[k * step] as number, turns.imaginary[k * step] as number];
        const [x, y] = [real[high] as number, imaginary[high] as number];
        const [turnedX, turnedY] = [x * cos - y * sin, x * sin + y * cos];
        const [lowX, lowY] = [real[low] as number, imaginary[low] as number];
        real[low] = lowX + turnedX;
        imaginary[low] = lowY + turnedY;
        real[high] = lowX - turnedX;
        imaginary[high] = lowY - turnedY;
      }
    }
  }
  return { real, imaginary };
}

/** Bluestein's transform: a convolution with a chirp, by transforms whose lengths are powers of two. */
function transformAny(row: ComplexRow): ComplexRow {
  const n = row.real.length;
  const size = 2 ** Math.ceil(Math.log2(2 * n - 1));
  // The square is reduced first, so that the angle keeps its digits.
  const angles = Float64Array.from({ length: n }, (_, k) => (Math.PI * ((k * k) % (2 * n))) / n);
  const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
  const [signal, chirp] = [complexRow(size), complexRow(size)];
  for (let k = 0; k < n; k++) {
    const [x, y] = [row.real[k] as number, row.imaginary[k] as number];
    const [c, s] = [cos[k] as number, sin[k] as number];
    signal.real[k] = x * c + y * s;
    signal.imaginary[k] = y * c - x * s;
    const mirrored = (size - k) % size;
    chirp.real[k] = c;
    chirp.real[mirrored] = c;
    chirp.imaginary[k] = s;
    chirp.imaginary[mirrored] = s;
  }
  const [a, b] = [transformPower(signal), transformPower(chirp)];
  const product = complexRow(size);
  for (let k = 0; k < size; k++) {
    const [ax, ay, bx, by] = [a.real[k], a.imaginary[k], b.real[k], b.imaginary[k]] as [number, number, number, number];
    product.real[k] = ax * bx - ay * by;
    product.imaginary[k] = ax * by + ay * bx;
  }
  const { real, imaginary } = fourier(product, true);
  const result = complexRow(n);
  for (let k = 0; k < n; k++) {
    const [x, y] = [real[k] as number, imaginary[k] as number];
    const [c, s] = [cos[k] as number, sin[k] as number];
    result.real[k] = x * c + y * s;
    result.imaginary[k] = y * c - x * s;
  }
  return result;
}
