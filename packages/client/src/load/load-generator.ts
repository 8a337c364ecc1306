import { ClientError, type ClientErrorCode } from "../errors.ts";
import { type LatencySummary, summarizeLatencies } from "./percentiles.ts";

export interface LoadOptions {
  /** Calls in flight: each lane sends its next call when the one before has ended (closed loop). */
  readonly concurrency: number;
  /** How many calls in all. With `durationMs` too: whatever ends first. */
  readonly requests?: number;
  /** No call is begun after this time. */
  readonly durationMs?: number;
  /** Calls before the measurement, which are not counted. Default 0. */
  readonly warmup?: number;
  /** Told after each call. */
  readonly onProgress?: (done: number) => void;
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
  readonly errors: ReadonlyMap<ClientErrorCode, number>;
  /** Successful calls of each replica; "unknown" where the server does not name itself. */
  readonly replicas: ReadonlyMap<string, number>;
}

/** Runs calls in a closed loop and measures them. A call that throws is counted, never thrown. */
export async function generateLoad(
  call: (index: number) => Promise<LoadCallResult>,
  options: LoadOptions,
): Promise<LoadReport> {
  for (let index = 0; index < (options.warmup ?? 0); index++) await call(index).catch(() => undefined);
  const tally = new Tally();
  const startedAt = performance.now();
  const endsAt = startedAt + (options.durationMs ?? Infinity);
  const limit = options.requests ?? (options.durationMs === undefined ? 0 : Infinity);
  let begun = 0;
  const lane = async (): Promise<void> => {
    while (begun < limit && performance.now() < endsAt) {
      await tally.measure(call, begun++);
      options.onProgress?.(tally.count);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, lane));
  return tally.report(performance.now() - startedAt);
}

class Tally {
  readonly #latenciesMs: number[] = [];
  readonly #errors = new Map<ClientErrorCode, number>();
  readonly #replicas = new Map<string, number>();
  #failed = 0;

  get count(): number {
    return this.#latenciesMs.length + this.#failed;
  }

  async measure(call: (index: number) => Promise<LoadCallResult>, index: number): Promise<void> {
    const startedAt = performance.now();
    try {
      const { replica } = await call(index);
      this.#latenciesMs.push(performance.now() - startedAt);
      increment(this.#replicas, replica ?? "unknown");
    } catch (error) {
      this.#failed++;
      increment(this.#errors, error instanceof ClientError ? error.code : "INTERNAL");
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
      errors: this.#errors,
      replicas: this.#replicas,
    };
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
