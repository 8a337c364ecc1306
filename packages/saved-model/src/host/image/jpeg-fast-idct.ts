// The fast integer inverse DCT that libjpeg calls "ifast" (Arai, Agui, Nakajima). TensorFlow decodes with it unless told
// otherwise, so that its rounding is part of the answer.

/** Scales of a row or column in parts of 16384: 1, then cos(k pi / 16) sqrt(2). */
const SCALES = [16384, 22725, 21407, 19266, 16384, 12873, 8867, 4520] as const;

/** Quantization steps with the transform's scales in them. */
export function fastSteps(table: Uint16Array): Int32Array {
  return Int32Array.from(table, (step, k) => {
    const [row, column] = [SCALES[k >> 3] as number, SCALES[k & 7] as number];
    const scale = Math.round((row * column) / 16384);
    return (step * scale + 2048) >> 12;
  });
}

/** Multiplies by a constant in parts of 256, without rounding. */
function times(value: number, factor: number): number {
  return (value * factor) >> 8;
}

/** Works in place on eight values `step` apart. */
function transform(data: Int32Array, at: number, step: number): void {
  const get = (index: number): number => data[at + index * step] as number;
  const put = (index: number, value: number): void => {
    data[at + index * step] = value;
  };
  const [sum, difference, outer] = [get(0) + get(4), get(0) - get(4), get(2) + get(6)];
  const inner = times(get(2) - get(6), 362) - outer;
  const [e0, e3, e1, e2] = [sum + outer, sum - outer, difference + inner, difference - inner];
  const [z13, z10, z11, z12] = [get(5) + get(3), get(5) - get(3), get(1) + get(7), get(1) - get(7)];
  const o7 = z11 + z13;
  const z5 = times(z10 + z12, 473);
  const o6 = times(z10, -669) + z5 - o7;
  const o5 = times(z11 - z13, 362) - o6;
  const o4 = times(z12, 277) - z5 + o5;
  put(0, e0 + o7);
  put(7, e0 - o7);
  put(1, e1 + o6);
  put(6, e1 - o6);
  put(2, e2 + o5);
  put(5, e2 - o5);
  put(4, e3 + o4);
  put(3, e3 - o4);
}

/** As `inverseDct`, for coefficients that `fastSteps` multiplied. */
export function fastInverseDct(block: Int32Array, target: Uint8ClampedArray, offset: number, stride: number): void {
  for (let column = 0; column < 8; column++) transform(block, column, 8);
  for (let row = 0; row < 8; row++) {
    transform(block, row * 8, 1);
    for (let column = 0; column < 8; column++)
      target[offset + row * stride + column] = ((block[row * 8 + column] as number) >> 5) + 128;
  }
}
