import { u64 } from "./words.ts";

const MULTIPLIER = 0xc6a4a7935bd1e995n;
const SEED = 0xdecafcaffen;

const mixed = (value: bigint): bigint => value ^ (value >> 47n);

/** Hash64 of TensorFlow's core/platform/hash.h (MurmurHash64A with a seed of its own), which StringToHashBucket uses. */
export function legacyHash64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hash = u64(SEED ^ u64(BigInt(bytes.length) * MULTIPLIER));
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8) {
    const part = u64(mixed(u64(view.getBigUint64(at, true) * MULTIPLIER)) * MULTIPLIER);
    hash = u64((hash ^ part) * MULTIPLIER);
  }
  if (whole < bytes.length) {
    let rest = 0n;
    for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8n) | BigInt(bytes[at] as number);
    hash = u64((hash ^ rest) * MULTIPLIER);
  }
  return mixed(u64(mixed(hash) * MULTIPLIER));
}

/** One fingerprint of two (FingerprintCat64 of TensorFlow's core/platform/fingerprint.h). */
export function joinFingerprints(first: bigint, second: bigint): bigint {
  const both = first ^ MULTIPLIER ^ u64(mixed(u64(second * MULTIPLIER)) * MULTIPLIER);
  return mixed(u64(mixed(u64(both * MULTIPLIER)) * MULTIPLIER));
}
