import { setTimeout as sleep } from "node:timers/promises";
import { ClientError, type ClientErrorCode } from "../errors.ts";
import { type LatencySummary, summarizeLatencies } from "./percentiles.ts";

export interface LoadOptions {
  /** Calls that run at the same time. Closed loop: each lane sends its next call when the one before has ended. */
  readonly concurrency: number;
  /**
   * Open loop: this many calls a second are begun on a fixed schedule, on up to `concurrency` lanes. A latency counts from the
   * time at which the schedule wanted the call, so waiting for a free lane is part of it.
   */
  readonly ratePerSecond?: number;
  /** How many calls in all, given to whichever lane is free. With `durationMs` too: whatever ends first. */
  readonly requests?: number;
  /** How many calls each lane makes at the most, however slow it is beside the others. */
  readonly requestsPerLane?: number;
  /** No call is begun after this time. */
  readonly durationMs?: number;
  /** Calls before the measurement, which are not counted. Default 0. */
  readonly warmup?: number;
  /** No call is begun after it fires. */
  readonly signal?: AbortSignal;
  /** Told after each call. */
  readonly onProgress?: (done: number) => void;
  /** Told after each call, with its lane and how many that lane had before. */
  readonly onCall?: (call: { lane: number; loop: number; latencyMs: number; failed: boolean }) => void;
}

/** What one call tells: who answered. */
export interface LoadCallResult {
  readonly replica: string | undefined;
}

export interface LoadReport {
  readonly requests: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly durationMs: number;
  /** Successful calls a second. */
  readonly perSecond: number;
  readonly latency: LatencySummary;
  /** Of successful calls, in the order in which they ended. */
  readonly latenciesMs: readonly number[];
  readonly errors: ReadonlyMap<ClientErrorCode, number>;
  /** Successful calls of each replica; "unknown" where the server does not name itself. */
  readonly replicas: ReadonlyMap<string, number>;
}

/** Runs calls and measures them. A call that throws is counted, never thrown. */
export async function generateLoad(
  call: (index: number) => Promise<LoadCallResult>,
  options: LoadOptions,
): Promise<LoadReport> {
  for (let index = 0; index < (options.warmup ?? 0); index++) await call(index).catch(() => undefined);
  const tally = new Tally();
  const startedAt = performance.now();
  const schedule = new Schedule(options, startedAt);
  const run = async (_: unknown, lane: number): Promise<void> => {
    for (let loop = 0; loop < (options.requestsPerLane ?? Infinity); loop++) {
      const next = schedule.next();
      if (next === undefined) return;
      await waitUntil(next.wantedAt, options.signal);
      if (options.signal?.aborted === true) return;
      const { latencyMs, failed } = await tally.measure(call, next.index, next.wantedAt ?? performance.now());
      options.onCall?.({ lane, loop, latencyMs, failed });
      options.onProgress?.(tally.count);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, run));
  return tally.report(performance.now() - startedAt);
}

/** Gives out calls: in the closed loop at once, in the open loop with the time at which each is due. */
class Schedule {
  readonly #startedAt: number;
  readonly #endsAt: number;
  readonly #limit: number;
  readonly #options: LoadOptions;
  #begun = 0;

  constructor(options: LoadOptions, startedAt: number) {
    this.#options = options;
    this.#startedAt = startedAt;
    this.#endsAt = startedAt + (options.durationMs ?? Infinity);
    const isBounded = (options.durationMs ?? options.requestsPerLane) !== undefined;
    this.#limit = options.requests ?? (isBounded ? Infinity : 0);
  }

  next(): { index: number; wantedAt: number | undefined } | undefined {
    const { ratePerSecond, signal } = this.#options;
    const index = this.#begun;
    const wantedAt = ratePerSecond === undefined ? undefined : this.#startedAt + (index * 1000) / ratePerSecond;
    const beginsAt = wantedAt ?? performance.now();
    if (index >= this.#limit || beginsAt >= this.#endsAt || signal?.aborted === true) return undefined;
    this.#begun += 1;
    return { index, wantedAt };
  }
}

async function waitUntil(time: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  const waitMs = (time ?? 0) - performance.now();
  if (waitMs > 0) await sleep(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

class Tally {
  readonly #latenciesMs: number[] = [];
  readonly #errors = new Map<ClientErrorCode, number>();
  readonly #replicas = new Map<string, number>();
  #failed = 0;

  get count(): number {
    return this.#latenciesMs.length + this.#failed;
  }

  async measure(
    call: (index: number) => Promise<LoadCallResult>,
    index: number,
    startedAt: number,
  ): Promise<{ latencyMs: number; failed: boolean }> {
    try {
      const { replica } = await call(index);
      const latencyMs = performance.now() - startedAt;
      this.#latenciesMs.push(latencyMs);
      increment(this.#replicas, replica ?? "unknown");
      return { latencyMs, failed: false };
    } catch (error) {
      this.#failed++;
      increment(this.#errors, error instanceof ClientError ? error.code : "INTERNAL");
      return { latencyMs: performance.now() - startedAt, failed: true };
    }
  }

  report(durationMs: number): LoadReport {
    const succeeded = this.#latenciesMs.length;
    return {
      requests: this.count,
      succeeded,
      failed: this.#failed,
      durationMs,
      perSecond: durationMs === 0 ? 0 : (succeeded * 1000) / durationMs,
      latency: summarizeLatencies(this.#latenciesMs),
      latenciesMs: this.#latenciesMs,
      errors: this.#errors,
      replicas: this.#replicas,
    };
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
