// FarmHash Fingerprint64, which TensorFlow's StringToHashBucketFast uses. Written from the algorithm's published definition
// (farmhashna::Hash64).

const MASK = (1n << 64n) - 1n;
const K0 = 0xc3a5c85c97cb3127n;
const K1 = 0xb492b66fbe98f273n;
const K2 = 0x9ae16a3b2f90404fn;

const u64 = (value: bigint): bigint => value & MASK;
const multiply = (a: bigint, b: bigint): bigint => u64(a * b);
const rotate = (value: bigint, by: bigint): bigint => (by === 0n ? value : u64((value >> by) | (value << (64n - by))));
const shiftMix = (value: bigint): bigint => value ^ (value >> 47n);

/** Reads a byte string; positions count from its start. */
class Words {
  readonly length: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.length = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u64(at: number): bigint {
    return this.#view.getBigUint64(at, true);
  }

  u32(at: number): bigint {
    return BigInt(this.#view.getUint32(at, true));
  }

  u8(at: number): bigint {
    return BigInt(this.#view.getUint8(at));
  }
}

function mix16(u: bigint, v: bigint, factor: bigint): bigint {
  let a = multiply(u ^ v, factor);
  a ^= a >> 47n;
  let b = multiply(v ^ a, factor);
  b ^= b >> 47n;
  return multiply(b, factor);
}

function upTo16(s: Words): bigint {
  const { length } = s;
  const n = BigInt(length);
  if (length >= 8) {
    const factor = K2 + n * 2n;
    const a = u64(s.u64(0) + K2);
    const b = s.u64(length - 8);
    const c = u64(multiply(rotate(b, 37n), factor) + a);
    const d = multiply(u64(rotate(a, 25n) + b), factor);
    return mix16(c, d, u64(factor));
  }
  if (length >= 4) return mix16(u64(n + (s.u32(0) << 3n)), s.u32(length - 4), u64(K2 + n * 2n));
  if (length === 0) return K2;
  const [a, b, c] = [s.u8(0), s.u8(length >> 1), s.u8(length - 1)];
  const y = (a + (b << 8n)) & 0xffffffffn;
  const z = (n + (c << 2n)) & 0xffffffffn;
  return multiply(shiftMix(multiply(y, K2) ^ multiply(z, K0)), K2);
}

function upTo32(s: Words): bigint {
  const { length } = s;
  const factor = u64(K2 + BigInt(length) * 2n);
  const a = multiply(s.u64(0), K1);
  const b = s.u64(8);
  const c = multiply(s.u64(length - 8), factor);
  const d = multiply(s.u64(length - 16), K2);
  return mix16(u64(rotate(u64(a + b), 43n) + rotate(c, 30n) + d), u64(a + rotate(u64(b + K2), 18n) + c), factor);
}

function upTo64(s: Words): bigint {
  const { length } = s;
  const factor = u64(K2 + BigInt(length) * 2n);
  const a = multiply(s.u64(0), K2);
  const b = s.u64(8);
  const c = multiply(s.u64(length - 8), factor);
  const d = multiply(s.u64(length - 16), K2);
  const y = u64(rotate(u64(a + b), 43n) + rotate(c, 30n) + d);
  const z = mix16(y, u64(a + rotate(u64(b + K2), 18n) + c), factor);
  const e = multiply(s.u64(16), factor);
  const f = s.u64(24);
  const g = multiply(u64(y + s.u64(length - 32)), factor);
  const h = multiply(u64(z + s.u64(length - 24)), factor);
  return mix16(u64(rotate(u64(e + f), 43n) + rotate(g, 30n) + h), u64(e + rotate(u64(f + a), 18n) + g), factor);
}

/** Two words of hash of 32 bytes. */
function weak32(s: Words, at: number, a0: bigint, b0: bigint): [bigint, bigint] {
  const [w, x, y, z] = [s.u64(at), s.u64(at + 8), s.u64(at + 16), s.u64(at + 24)];
  const a = u64(a0 + w);
  const b = rotate(u64(b0 + a + z), 21n);
  const moved = u64(a + x + y);
  return [u64(moved + z), u64(b + rotate(moved, 44n) + a)];
}

/** The fingerprint, below 2^64. */
export function fingerprint64(bytes: Uint8Array): bigint {
  const s = new Words(bytes);
  const { length } = s;
  if (length <= 16) return upTo16(s);
  if (length <= 32) return upTo32(s);
  if (length <= 64) return upTo64(s);
  return long(s);
}

function long(s: Words): bigint {
  const { length } = s;
  const seed = 81n;
  let x = seed;
  let y = u64(seed * K1 + 113n);
  let z = multiply(shiftMix(u64(y * K2 + 113n)), K2);
  let v: [bigint, bigint] = [0n, 0n];
  let w: [bigint, bigint] = [0n, 0n];
  x = u64(x * K2 + s.u64(0));
  const end = Math.floor((length - 1) / 64) * 64;
  const last = length - 64;
  let at = 0;
  do {
    x = multiply(rotate(u64(x + y + v[0] + s.u64(at + 8)), 37n), K1);
    y = multiply(rotate(u64(y + v[1] + s.u64(at + 48)), 42n), K1);
    x ^= w[1];
    y = u64(y + v[0] + s.u64(at + 40));
    z = multiply(rotate(u64(z + w[0]), 33n), K1);
    v = weak32(s, at, multiply(v[1], K1), u64(x + w[0]));
    w = weak32(s, at + 32, u64(z + w[1]), u64(y + s.u64(at + 16)));
    [z, x] = [x, z];
    at += 64;
  } while (at !== end);
  const factor = u64(K1 + ((z & 0xffn) << 1n));
  at = last;
  w[0] = u64(w[0] + BigInt((length - 1) & 63));
  v[0] = u64(v[0] + w[0]);
  w[0] = u64(w[0] + v[0]);
  x = multiply(rotate(u64(x + y + v[0] + s.u64(at + 8)), 37n), factor);
  y = multiply(rotate(u64(y + v[1] + s.u64(at + 48)), 42n), factor);
  x ^= multiply(w[1], 9n);
  y = u64(y + multiply(v[0], 9n) + s.u64(at + 40));
  z = multiply(rotate(u64(z + w[0]), 33n), factor);
  v = weak32(s, at, multiply(v[1], factor), u64(x + w[0]));
  w = weak32(s, at + 32, u64(z + w[1]), u64(y + s.u64(at + 16)));
  [z, x] = [x, z];
  return mix16(
    u64(mix16(v[0], w[0], factor) + multiply(shiftMix(y), K0) + z),
    u64(mix16(v[1], w[1], factor) + x),
    factor,
  );
}
