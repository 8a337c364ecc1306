// SipHash-2-4 (Aumasson, Bernstein) as HighwayHash's library computes it, which TensorFlow calls for its "strong" hash buckets.

const MASK = 0xffff_ffff_ffff_ffffn;

const add = (a: bigint, b: bigint): bigint => (a + b) & MASK;
const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;

/** The 64-bit hash of some bytes under a key of two 64-bit words. */
export function sipHash(bytes: Uint8Array, [k0, k1]: readonly [bigint, bigint]): bigint {
  let [v0, v1, v2, v3] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const round = (): void => {
    v0 = add(v0, v1);
    v2 = add(v2, v3);
    v1 = rotate(v1, 13n) ^ v0;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = rotate(v0, 32n);
    v2 = add(v2, v1);
    v0 = add(v0, v3);
    v1 = rotate(v1, 17n) ^ v2;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = rotate(v2, 32n);
  };
  const words = Math.floor(bytes.length / 8) + 1;
  const padded = new Uint8Array(words * 8);
  padded.set(bytes);
  padded[words * 8 - 1] = bytes.length & 0xff;
  const view = new DataView(padded.buffer);
  for (let word = 0; word < words; word++) {
    const message = view.getBigUint64(word * 8, true);
    v3 ^= message;
    round();
    round();
    v0 ^= message;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}
