import type { Tensor } from "@cloister/encoding/tensor";

export interface ScoredClass {
  readonly index: number;
  /** The label file's line of that number, where there is one. */
  readonly label: string | undefined;
  readonly score: number;
}

/** The `k` highest scores of each row of a [batch, classes] tensor (or of the one row of a [classes] tensor), best first. */
export function topK(scores: Tensor, k: number, labels: readonly string[] = []): readonly (readonly ScoredClass[])[] {
  if (!(scores.data instanceof Float32Array) && !(scores.data instanceof Float64Array)) {
    throw new TypeError("scores are a float or double tensor");
  }
  const classCount = scores.shape.at(-1) ?? 1;
  const rows: ScoredClass[][] = [];
  for (let start = 0; start < scores.data.length; start += classCount) {
    const row = Array.from(scores.data.subarray(start, start + classCount), (score, index) => ({
      index,
      label: labels[index],
      score,
    }));
    rows.push(row.toSorted((a, b) => b.score - a.score).slice(0, k));
  }
  return rows;
}
