/** The lower 64 bits, without a sign. */
export function u64(value: bigint | number | string): bigint {
  return BigInt.asUintN(64, BigInt(value));
}
