/** One line of a benchmark: medians of alternating runs. `ratio` above 1 means that ours is better than the peer or floor. */
export interface BenchRow {
  readonly case: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly ratio: number;
}
