/** Calls whose latency lies from `fromMs` up to `toMs`, that one excluded; the last bucket has no upper end. */
export interface HistogramBucket {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
}

/** Buckets of equal width from the smallest latency to the 99th percentile, and one more for the slowest calls. */
export function latencyHistogram(latenciesMs: readonly number[], bucketCount = 20): readonly HistogramBucket[] {
  const sorted = Float64Array.from(latenciesMs).sort();
  const lowest = sorted[0];
  if (lowest === undefined) return [];
  const p99 = sorted[Math.ceil(0.99 * sorted.length) - 1] ?? lowest;
  const width = Math.max((p99 - lowest) / bucketCount, 0.001);
  const counts = Array.from({ length: bucketCount + 1 }, () => 0);
  for (const value of sorted) {
    const bucket = Math.min(bucketCount, Math.floor((value - lowest) / width));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return counts.map((count, index) => ({
    fromMs: lowest + index * width,
    toMs: index === bucketCount ? Infinity : lowest + (index + 1) * width,
    count,
  }));
}

const WIDTH = 720;
const HEIGHT = 300;
const MARGIN = 48;

/** The buckets as a picture of their own, with the percentiles below. Nothing of the input but numbers gets into it. */
export function histogramSvg(
  buckets: readonly HistogramBucket[],
  latency: { p50Ms: number; p99Ms: number; maxMs: number },
): string {
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  const step = (WIDTH - 2 * MARGIN) / Math.max(1, buckets.length);
  const bars = buckets.map(({ count, fromMs }, index) => {
    const height = ((HEIGHT - 2 * MARGIN) * count) / most;
    const x = (MARGIN + index * step).toFixed(1);
    const y = (HEIGHT - MARGIN - height).toFixed(1);
    const size = `width="${(step - 2).toFixed(1)}" height="${height.toFixed(1)}"`;
    return `<rect x="${x}" y="${y}" ${size} fill="#3b6ea8"><title>from ${fromMs.toFixed(2)} ms: ${count}</title></rect>`;
  });
  const { p50Ms, p99Ms, maxMs } = latency;
  const caption = `latency of calls: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, max ${maxMs.toFixed(2)} ms`;
  const first = buckets[0]?.fromMs ?? 0;
  const last = buckets.at(-1)?.fromMs ?? 0;
  const label = (x: number, anchor: string, text: string): string =>
    `<text x="${x}" y="${HEIGHT - MARGIN + 18}" text-anchor="${anchor}">${text}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${MARGIN}" y="28">${caption}</text>`,
    ...bars,
    label(MARGIN, "start", `${first.toFixed(2)} ms`),
    label(WIDTH - MARGIN, "end", `${last.toFixed(2)} ms and more`),
    "</svg>",
    "",
  ].join("\n");
}
