// The accurate integer inverse DCT that libjpeg calls "islow" (Loeffler, Ligtenberg, Moschytz): answers have to be equal to the
// bit, since TensorFlow decodes with it.

const BITS = 13;
const PASS_BITS = 2;

/** Works in place on eight values `step` apart. */
function transform(data: Int32Array, at: number, step: number, shift: number): void {
  const [i0, i1, i2, i3, i4, i5, i6, i7] = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => data[at + index * step]) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const even = (i2 + i6) * 4433;
  const low = even - i6 * 15137;
  const high = even + i2 * 6270;
  const [sum, difference] = [(i0 + i4) * 2 ** BITS, (i0 - i4) * 2 ** BITS];
  const [e0, e3, e1, e2] = [sum + high, sum - high, difference + low, difference - low];
  const z5 = (i7 + i3 + i5 + i1) * 9633;
  const z1 = (i7 + i1) * -7373;
  const z2 = (i5 + i3) * -20995;
  const z3 = (i7 + i3) * -16069 + z5;
  const z4 = (i5 + i1) * -3196 + z5;
  const o0 = i7 * 2446 + z1 + z3;
  const o1 = i5 * 16819 + z2 + z4;
  const o2 = i3 * 25172 + z2 + z3;
  const o3 = i1 * 12299 + z1 + z4;
  const round = 2 ** (shift - 1);
  const put = (index: number, value: number): void => {
    data[at + index * step] = (value + round) >> shift;
  };
  put(0, e0 + o3);
  put(7, e0 - o3);
  put(1, e1 + o2);
  put(6, e1 - o2);
  put(2, e2 + o1);
  put(5, e2 - o1);
  put(3, e3 + o0);
  put(4, e3 - o0);
}

/** Turns 64 coefficients (in place) into samples in `target`, a plane of `stride` samples a row. */
export function inverseDct(block: Int32Array, target: Uint8ClampedArray, offset: number, stride: number): void {
  for (let column = 0; column < 8; column++) transform(block, column, 8, BITS - PASS_BITS);
  for (let row = 0; row < 8; row++) {
    transform(block, row * 8, 1, BITS + PASS_BITS + 3);
    for (let column = 0; column < 8; column++)
      target[offset + row * stride + column] = (block[row * 8 + column] as number) + 128;
  }
}
