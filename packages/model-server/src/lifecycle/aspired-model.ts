import { setTimeout as sleep } from "node:timers/promises";
import type { BatchingVerdict } from "../batching/auto-batching.ts";
import type { Servable } from "../engine/engine.ts";
import type { ModelRegistry } from "../serving/registry.ts";

/** A version that is to be served. */
export interface Candidate {
  readonly version: bigint;
  /** Loads it, warm-up included: either it answers afterwards or nothing is left of it. */
  load(): Promise<Servable>;
}

export interface LoadRetries {
  /** Further attempts after the first. */
  readonly maxRetries: number;
  readonly intervalMs: number;
}

/** What happens to versions, for the log. */
export type LifecycleEvent =
  | { readonly event: "loaded" | "unloaded" | "version_missing"; readonly model: string; readonly version: bigint }
  | {
      readonly event: "load_failed";
      readonly model: string;
      readonly version: bigint;
      readonly error: Error;
      readonly isFinal: boolean;
    }
  | { readonly event: "base_path_missing" | "no_versions"; readonly model: string; readonly path: string }
  | ({ readonly event: "batching_measured"; readonly model: string; readonly version: bigint } & BatchingVerdict);

type Action =
  { readonly kind: "load"; readonly candidate: Candidate } | { readonly kind: "unload"; readonly version: bigint };

/**
 * One model on its way from the versions it has to those it should have, one action at a time and availability first: an old
 * version goes only when a wanted one answers (TensorFlow Serving's AvailabilityPreservingPolicy).
 */
export class AspiredModel {
  readonly name: string;
  readonly #registry: ModelRegistry;
  readonly #retries: LoadRetries;
  readonly #report: (event: LifecycleEvent) => void;
  #aspired = new Map<bigint, Candidate>();
  readonly #failed = new Map<bigint, Error>();
  #running: Promise<void> | undefined;
  #loading: { readonly version: bigint; readonly abort: AbortController } | undefined;
  #waiters: (() => void)[] = [];

  constructor(name: string, registry: ModelRegistry, retries: LoadRetries, report: (event: LifecycleEvent) => void) {
    this.name = name;
    this.#registry = registry;
    this.#retries = retries;
    this.#report = report;
  }

  /** Replaces the wanted versions and begins to work towards them. A version that failed is tried again once it was not wanted. */
  aspire(candidates: readonly Candidate[]): void {
    const wanted = new Map(candidates.map((candidate) => [candidate.version, candidate]));
    for (const version of this.#aspired.keys()) {
      if (wanted.has(version)) continue;
      this.#failed.delete(version);
      this.#registry.withdraw(this.name, version);
    }
    for (const version of wanted.keys()) {
      if (!this.#failed.has(version)) this.#registry.announce(this.name, version);
    }
    this.#aspired = wanted;
    if (this.#loading !== undefined && !wanted.has(this.#loading.version)) this.#loading.abort.abort();
    this.#running ??= this.#work();
  }

  /** Resolves when there is nothing left to do for now, with the errors of the wanted versions that failed. */
  async settled(): Promise<ReadonlyMap<bigint, Error>> {
    while (this.#running !== undefined) await this.#running;
    return this.#failed;
  }

  /** Resolves when nothing is left to do and a wanted version answers or one has failed; waits for versions to appear. */
  async decided(): Promise<ReadonlyMap<bigint, Error>> {
    for (;;) {
      const failed = await this.settled();
      if (failed.size > 0 || this.#aspiredReady().length > 0) return failed;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async #work(): Promise<void> {
    // `#running` has to be set before this can end.
    await Promise.resolve();
    for (let action = this.#next(); action !== undefined; action = this.#next()) await this.#perform(action);
    this.#running = undefined;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #next(): Action | undefined {
    const unwanted = this.#ready().filter((version) => !this.#aspired.has(version));
    const [lowest] = unwanted.toSorted(ascending);
    const canUnload = this.#aspired.size === 0 || this.#aspiredReady().length > 0 || unwanted.length > 1;
    if (lowest !== undefined && canUnload) return { kind: "unload", version: lowest };
    const highest = [...this.#aspired.keys()]
      .filter((version) => !this.#failed.has(version) && this.#registry.stateOf(this.name, version) !== "AVAILABLE")
      .toSorted(ascending)
      .at(-1);
    const candidate = highest === undefined ? undefined : this.#aspired.get(highest);
    return candidate && { kind: "load", candidate };
  }

  async #perform(action: Action): Promise<void> {
    const { name } = this;
    if (action.kind === "unload") {
      await this.#registry.unload(name, action.version);
      this.#report({ event: "unloaded", model: name, version: action.version });
      return;
    }
    const { version } = action.candidate;
    const abort = new AbortController();
    this.#loading = { version, abort };
    try {
      await this.#registry.load(name, version, () => this.#loadWithRetries(action.candidate, abort.signal));
      this.#report({ event: "loaded", model: name, version });
    } catch (error) {
      if (this.#aspired.has(version)) this.#failed.set(version, asError(error));
    } finally {
      this.#loading = undefined;
    }
  }

  async #loadWithRetries(candidate: Candidate, signal: AbortSignal): Promise<Servable> {
    for (let left = this.#retries.maxRetries; ; left--) {
      try {
        return await candidate.load();
      } catch (thrown) {
        const error = asError(thrown);
        const isFinal = left <= 0 || signal.aborted;
        this.#report({ event: "load_failed", model: this.name, version: candidate.version, error, isFinal });
        if (isFinal) throw error;
        await sleep(this.#retries.intervalMs, undefined, { signal, ref: false });
      }
    }
  }

  #ready(): bigint[] {
    return this.#registry.readyVersions(this.name);
  }

  #aspiredReady(): bigint[] {
    return this.#ready().filter((version) => this.#aspired.has(version));
  }
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error("the load failed", { cause: thrown });
}
