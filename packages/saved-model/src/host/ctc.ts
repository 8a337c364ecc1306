// Sequences of labels out of scores for each moment (Graves et al., "Connectionist Temporal Classification", 2006): the same label again
// counts once, and a blank stands between labels that are truly repeated.

import { refuse } from "./refusal.ts";

/** Scores of each class for one moment. */
type Scores = ArrayLike<number>;

/** Logarithms of probabilities of a sequence: as a whole, ending in a blank, ending in its last label. */
interface Chance {
  total: number;
  blank: number;
  label: number;
}

const never = (): Chance => ({ total: -Infinity, blank: -Infinity, label: -Infinity });

/** A sequence of labels: the last one, behind another sequence. */
class Sequence {
  readonly label: number;
  readonly parent: Sequence | undefined;
  readonly #children = new Map<number, Sequence>();
  before = never();
  now = never();

  constructor(label: number, parent?: Sequence) {
    this.label = label;
    this.parent = parent;
  }

  get isActive(): boolean {
    return this.now.total !== -Infinity;
  }

  child(label: number): Sequence | undefined {
    return this.#children.get(label);
  }

  /** The sequence that is longer by a label, kept from now on. */
  grow(label: number): Sequence {
    const child = this.#children.get(label) ?? new Sequence(label, this);
    this.#children.set(label, child);
    return child;
  }
}

/** The best sequences so far, the most probable first. */
class Beam {
  readonly #width: number;
  #all: Sequence[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  /** Takes all sequences out. */
  take(): readonly Sequence[] {
    const all = this.#all;
    this.#all = [];
    return all;
  }

  admits(total: number): boolean {
    if (total === -Infinity) return false;
    return this.#all.length < this.#width || total > (this.#all.at(-1)?.now.total ?? -Infinity);
  }

  /** Adds a sequence; the last one falls out of a full beam. */
  push(sequence: Sequence): void {
    if (this.#all.length === this.#width) {
      const last = this.#all.pop();
      if (last) last.now = never();
    }
    let [low, high] = [0, this.#all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all[middle]?.now.total ?? 0) >= sequence.now.total) low = middle + 1;
      else high = middle;
    }
    this.#all.splice(low, 0, sequence);
  }
}

function logSum(a: number, b: number): number {
  if (a === -Infinity) return b;
  if (b === -Infinity) return a;
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** Logarithms of the probabilities of classes. */
function normalized(scores: Scores): number[] {
  const all = Array.from(scores);
  const most = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const whole = most + Math.log(all.reduce((sum, score) => sum + Math.exp(score - most), 0));
  return all.map((score) => score - whole);
}

/** What the sequences in the beam become by one more moment. */
function step(beam: Beam, chances: readonly number[], blank: number): void {
  const branches = beam.take();
  for (const each of branches) each.before = { ...each.now };
  for (const each of branches) {
    const { parent, now } = each;
    if (parent) {
      const previous = each.label === parent.label ? parent.before.blank : parent.before.total;
      if (parent.isActive) now.label = logSum(now.label, previous);
      now.label += chances[each.label] ?? 0;
    }
    now.blank = each.before.total + (chances[blank] ?? 0);
    now.total = logSum(now.blank, now.label);
  }
  for (const each of branches) beam.push(each);
  for (const each of branches) {
    if (!beam.admits(each.before.total)) continue;
    for (const [label, chance] of chances.entries()) {
      if (label === blank || each.child(label)?.isActive) continue;
      const total = chance + (label === each.label ? each.before.blank : each.before.total);
      if (!beam.admits(total)) {
        // One that has just fallen out and does not come back is not grown in its turn either.
        const fallen = each.child(label);
        if (fallen) fallen.before = never();
        continue;
      }
      const child = each.grow(label);
      child.now = { total, blank: -Infinity, label: total };
      beam.push(child);
    }
  }
}

/** Labels and logarithms of probabilities of the `count` best sequences. @throws HostRefusal where there are fewer */
export function searchBeam(
  moments: readonly Scores[],
  { width, count, mergesRepeated }: { width: number; count: number; mergesRepeated: boolean },
): { labels: number[]; chance: number }[] {
  const root = new Sequence(-1);
  root.now = { total: 0, blank: 0, label: -Infinity };
  const beam = new Beam(width);
  beam.push(root);
  for (const scores of moments) step(beam, normalized(scores), scores.length - 1);
  const best = beam.take();
  if (best.length < count) return refuse("the beam holds fewer sequences than are asked for");
  return best.slice(0, count).map((sequence) => {
    const labels: number[] = [];
    for (let at: Sequence | undefined = sequence; at?.parent; at = at.parent) labels.unshift(at.label);
    const kept = mergesRepeated ? labels.filter((label, index) => label !== labels[index - 1]) : labels;
    return { labels: kept, chance: sequence.now.total };
  });
}

/** The best label of each moment, without blanks; and the sum of their scores. */
export function takeBest(
  moments: readonly Scores[],
  { blank, mergesRepeated }: { blank: number; mergesRepeated: boolean },
): { labels: number[]; score: number } {
  const labels: number[] = [];
  let [score, previous] = [0, -1];
  for (const scores of moments) {
    let best = 0;
    for (let label = 1; label < scores.length; label++) {
      if ((scores[label] as number) > (scores[best] as number)) best = label;
    }
    score += scores[best] ?? 0;
    if (best !== blank && !(mergesRepeated && best === previous)) labels.push(best);
    previous = best;
  }
  return { labels, score };
}
