import { setTimeout as sleep } from "node:timers/promises";
import type { Policy } from "@cloister/policy";

/** Half of the second within which every broker has to know. */
const DEFAULT_POLL_MS = 500;

export interface StoredPolicy {
  readonly policy: Policy;
  readonly sha256: string;
  /** Counts the switches of the active policy. */
  readonly sequence: number;
}

/** Where the active policy of several brokers stands. */
export interface PolicySource {
  /** The verified active policy; undefined where there is none yet. Throws where it cannot be had or does not verify. */
  current(): Promise<StoredPolicy | undefined>;
  /** Starts or restarts calling `wake` after switches. Without it, or while it fails, polling finds them. */
  listen(wake: () => void): Promise<void>;
}

/**
 * Puts each newly active policy in place until `signal` ends it. A policy that cannot be had leaves the last one in place:
 * a shared log takes no release under it once another is active. Each failure is told once, until it goes right again.
 */
export async function followPolicies(
  source: PolicySource,
  options: {
    readonly onPolicy: (policy: StoredPolicy) => void;
    readonly onError?: (error: unknown) => void;
    readonly signal: AbortSignal;
    readonly sequence?: number;
    readonly pollMs?: number;
  },
): Promise<void> {
  const { onPolicy, onError, signal, pollMs = DEFAULT_POLL_MS } = options;
  let sequence = options.sequence ?? 0;
  let isFailing = false;
  let wake = Promise.withResolvers<undefined>();
  signal.addEventListener("abort", () => wake.resolve(undefined), { once: true });
  while (!signal.aborted) {
    try {
      await source.listen(() => wake.resolve(undefined));
      const active = await source.current();
      if (active !== undefined && active.sequence > sequence) {
        sequence = active.sequence;
        onPolicy(active);
      }
      isFailing = false;
    } catch (error) {
      if (!isFailing) onError?.(error);
      isFailing = true;
    }
    await Promise.race([wake.promise, sleep(pollMs, undefined, { signal, ref: false }).catch(() => undefined)]);
    wake = Promise.withResolvers();
  }
}
