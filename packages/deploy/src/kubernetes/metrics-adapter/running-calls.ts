import { sumOf } from "../cluster/status.ts";

const SECONDS = ":cloister:call_seconds";
const RUNNING = ":cloister:running_calls";
/** Who asks again sooner is given the number of before: over shorter times it is only noise. */
const MIN_SPAN_MS = 1000;
/** What is older than this tells nothing about now. */
const MAX_SPAN_MS = 120_000;

interface Sample {
  readonly at: number;
  readonly seconds: number;
  readonly calls: number;
}

/**
 * How many calls a replica works on, on average since it was asked before. A look at one moment finds a replica of short calls idle or
 * busy by chance, and an autoscaler that goes by it swings.
 */
export class RunningCalls {
  readonly #now: () => number;
  readonly #samples = new Map<string, Sample>();

  /** `now` in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes a replica's counters in. The first time there is only the number of this moment. */
  observe(replica: string, counters: string): number {
    const at = this.#now();
    const seconds = sumOf(counters, SECONDS);
    const before = this.#samples.get(replica);
    const span = at - (before?.at ?? Number.NEGATIVE_INFINITY);
    if (before !== undefined && span < MIN_SPAN_MS) return before.calls;
    // Counters that went back are those of a new process.
    const isComparable = before !== undefined && span <= MAX_SPAN_MS && seconds >= before.seconds;
    const calls = isComparable ? ((seconds - before.seconds) * 1000) / span : sumOf(counters, RUNNING);
    this.#samples.set(replica, { at, seconds, calls });
    this.#forget(at);
    return calls;
  }

  #forget(now: number): void {
    for (const [replica, { at }] of this.#samples) if (now - at > MAX_SPAN_MS) this.#samples.delete(replica);
  }
}
