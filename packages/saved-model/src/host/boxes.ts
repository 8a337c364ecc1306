// Choosing boxes by score and overlap.

/** Corners y1, x1, y2, x2 of one box, in any order of the two points. */
export type Box = readonly number[];

/** A box by its place, and its score. */
export interface Candidate {
  readonly index: number;
  readonly score: number;
}

const { fround } = Math;

/** Intersection over union, in single precision as TensorFlow computes it. */
function overlap(a: Box, b: Box): number {
  const [top, left, bottom, right] = ordered(a);
  const [otherTop, otherLeft, otherBottom, otherRight] = ordered(b);
  const area = fround(fround(bottom - top) * fround(right - left));
  const otherArea = fround(fround(otherBottom - otherTop) * fround(otherRight - otherLeft));
  if (area <= 0 || otherArea <= 0) return 0;
  const height = Math.max(fround(Math.min(bottom, otherBottom) - Math.max(top, otherTop)), 0);
  const width = Math.max(fround(Math.min(right, otherRight) - Math.max(left, otherLeft)), 0);
  const shared = fround(height * width);
  return fround(shared / fround(fround(area + otherArea) - shared));
}

function ordered([y1 = 0, x1 = 0, y2 = 0, x2 = 0]: Box): [number, number, number, number] {
  return [Math.min(y1, y2), Math.min(x1, x2), Math.max(y1, y2), Math.max(x1, x2)];
}

const byScore = (a: Candidate, b: Candidate): number => b.score - a.score || a.index - b.index;

/** `count` boxes out of a flat tensor, from `first` on, each `step` numbers behind the one before. */
export function boxesOf(data: ArrayLike<number>, count: number, first: number, step: number): Box[] {
  return Array.from({ length: count }, (_, index) =>
    Array.from({ length: 4 }, (__, corner) => data[first + index * step + corner] ?? 0),
  );
}

/** The best candidates of one class that do not overlap better ones too much. */
export function hardSelection(
  boxes: readonly Box[],
  candidates: readonly Candidate[],
  most: number,
  limit: number,
): Candidate[] {
  const selected: Candidate[] = [];
  for (const candidate of candidates.toSorted(byScore)) {
    if (selected.length >= most) break;
    const box = boxes[candidate.index] as Box;
    if (selected.every(({ index }) => overlap(box, boxes[index] as Box) <= limit)) selected.push(candidate);
  }
  return selected;
}

/**
 * Overlap lowers a score in place of ruling a box out: by the factor exp(-overlap^2 / 2 sigma) (Bodla et al., "Soft-NMS", 2017).
 * A box whose score falls waits for its new turn.
 */
export function softSelection(
  boxes: readonly Box[],
  candidates: readonly Candidate[],
  { most, least, sigma }: { most: number; least: number; sigma: number },
): Candidate[] {
  const scale = sigma > 0 ? fround(-0.5 / sigma) : 0;
  const waiting = candidates.map((candidate) => ({ ...candidate, seen: 0 }));
  const selected: Candidate[] = [];
  while (selected.length < most && waiting.length > 0) {
    let place = 0;
    for (let i = 1; i < waiting.length; i++) {
      if (byScore(waiting[i] as Candidate, waiting[place] as Candidate) < 0) place = i;
    }
    const [next] = waiting.splice(place, 1);
    if (!next) break;
    let { score } = next;
    for (let i = selected.length - 1; i >= next.seen && score > least; i--) {
      const shared = overlap(boxes[next.index] as Box, boxes[selected[i]?.index ?? 0] as Box);
      score = fround(score * fround(Math.exp(fround(scale * shared) * shared)));
    }
    if (score === next.score) selected.push({ index: next.index, score });
    else if (score > least) waiting.push({ index: next.index, score, seen: selected.length });
  }
  return selected;
}
