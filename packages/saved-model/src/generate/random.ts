/**
 * A small deterministic generator (SplitMix32): the same seed gives the same numbers on every machine. Not for secrets.
 * Returns numbers in [0, 1).
 */
function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) / 2 ** 32;
  };
}

/** Fills with numbers spread evenly around `mean`, with the standard deviation `deviation`. */
export function fillUniform(target: Float32Array, seed: number, mean: number, deviation: number): void {
  const random = seededRandom(seed);
  const halfWidth = deviation * Math.sqrt(3);
  for (let i = 0; i < target.length; i++) target[i] = mean + (2 * random() - 1) * halfWidth;
}
