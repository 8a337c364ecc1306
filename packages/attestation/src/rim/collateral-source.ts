import { join } from "node:path";
import type { Collateral } from "../collateral/collateral.ts";
import type { CollateralService, UpdateType } from "../collateral/collateral-request.ts";
import { AttestationError, refusal, type AttestationErrorCode } from "../errors.ts";
import { quotedPlatform, type QuotedPlatform } from "../collateral/quoted-platform.ts";
import type { TrustAnchor } from "../appraisal/trust-anchor.ts";
import { verifyCollateral, type CollateralItem, type CollateralState } from "../collateral/verify-collateral.ts";
import { Watermarks } from "../collateral/watermarks.ts";
import { fetchCollateral, type FetchCollateralOptions } from "./collateral-client.ts";
import { collateralFileName, listSets, readSet, writeSet } from "./collateral-files.ts";

/** What happened to a set; for logs and counters. */
export interface CollateralEvent {
  readonly kind: "fetched" | "fetch-refused" | "stored" | "stored-refused";
  readonly platform: QuotedPlatform;
  /** Of a refusal: COLLATERAL_ROLLED_BACK is the one to raise an alarm for. */
  readonly code?: AttestationErrorCode;
}

export interface CollateralSourceOptions extends Omit<FetchCollateralOptions, "signal"> {
  readonly service: CollateralService;
  readonly anchors: readonly TrustAnchor[];
  readonly clock: () => Date;
  /** Folder in which verified sets outlive the process. It is not trusted: what is read is verified again. */
  readonly folder?: string;
  /** Kinds of platforms to keep. Default 256. */
  readonly maxPlatforms?: number;
  /** After a failure nothing is asked for this long. Default 30,000. */
  readonly negativeMs?: number;
  /** A set is asked for again after this long, even where half of its life is longer. */
  readonly maxAgeMs?: number;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
  readonly onEvent?: (event: CollateralEvent) => void;
}

/** A kept set with its dates. */
export interface KeptCollateral {
  readonly platform: QuotedPlatform;
  readonly items: readonly CollateralItem[];
  readonly earliestExpiry: Date;
  /** From then on a newer set is asked for in the background. */
  readonly refreshAt: Date;
}

/** Gives the collateral for a quote. */
export interface CollateralSource {
  (quote: Uint8Array): Promise<Collateral>;
  /** The same for a kind of platform. */
  forPlatform(platform: QuotedPlatform): Promise<Collateral>;
  /**
   * Asks for a newer set in place of each kept one that is due, whether or not anybody needs it now. Never rejects: events tell
   * what happened.
   */
  refreshDue(): Promise<void>;
  /** What is kept now, for metrics. */
  kept(): readonly KeptCollateral[];
  /** Resolves when no fetch is under way. */
  settled(): Promise<void>;
}

/**
 * A source that keeps what it fetched (dcap.md C.9): verified before it is kept and after it is read from the folder, asked
 * for again in the background from half of its remaining life on, given out until it expires where the service fails, never
 * after. An item that is older than one taken before is refused. Requests for the same kind of platform at the same time are
 * one request, and a failure is remembered for half a minute.
 */
export function createCollateralSource(options: CollateralSourceOptions): CollateralSource {
  const cache = new Cache(options);
  return Object.assign(async (quote: Uint8Array) => await cache.give(quotedPlatform(quote)), {
    forPlatform: (platform: QuotedPlatform) => cache.give(platform),
    refreshDue: () => cache.refreshDue(),
    kept: () => cache.kept(),
    settled: () => cache.settled(),
  });
}

interface Kept {
  readonly platform: QuotedPlatform;
  readonly collateral: Collateral;
  readonly state: CollateralState;
  readonly refreshAt: Date;
}

interface Failure {
  readonly error: unknown;
  readonly until: number;
}

const DEFAULT_PLATFORMS = 256;
const DEFAULT_NEGATIVE_MS = 30_000;
/** Part of the remaining life over which refreshes are spread. */
const JITTER = 0.1;

class Cache {
  readonly #options: CollateralSourceOptions;
  readonly #update: UpdateType;
  readonly #kept = new Map<string, Kept>();
  readonly #failures = new Map<string, Failure>();
  readonly #underWay = new Map<string, Promise<Collateral>>();
  readonly #marks = new Watermarks();
  #stored: Promise<void> | undefined;

  constructor(options: CollateralSourceOptions) {
    this.#options = options;
    this.#update = options.update ?? "standard";
  }

  async give(platform: QuotedPlatform): Promise<Collateral> {
    await this.#ready();
    const key = collateralFileName(platform, this.#update);
    const known = this.#kept.get(key);
    const now = this.#options.clock();
    if (known === undefined || now > known.state.earliestExpiry) return await this.#refresh(key, platform);
    // In the background: who asks gets the set that is still good. The outcome is told by an event.
    if (now >= known.refreshAt) this.#refresh(key, platform).catch(() => undefined);
    return known.collateral;
  }

  async refreshDue(): Promise<void> {
    await this.#ready();
    const now = this.#options.clock();
    const due = [...this.#kept].filter(([, { refreshAt }]) => now >= refreshAt);
    await Promise.allSettled(due.map(([key, { platform }]) => this.#refresh(key, platform)));
  }

  kept(): readonly KeptCollateral[] {
    return [...this.#kept.values()].map(({ platform, state, refreshAt }) => {
      return { platform, items: state.items, earliestExpiry: state.earliestExpiry, refreshAt };
    });
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
  }

  #ready(): Promise<void> {
    return (this.#stored ??= this.#readFolder());
  }

  async #refresh(key: string, platform: QuotedPlatform): Promise<Collateral> {
    const failure = this.#failures.get(key);
    if (failure !== undefined && this.#options.clock().getTime() < failure.until) throw failure.error;
    const running = this.#underWay.get(key);
    if (running !== undefined) return await running;
    const request = this.#fetch(key, platform).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, request);
    return await request;
  }

  async #fetch(key: string, platform: QuotedPlatform): Promise<Collateral> {
    const { service, clock, negativeMs = DEFAULT_NEGATIVE_MS, folder } = this.#options;
    try {
      const collateral = await fetchCollateral(service, platform, this.#options);
      this.#take(key, platform, collateral, "fetched");
      this.#tell({ kind: "fetched", platform });
      this.#failures.delete(key);
      if (folder !== undefined) await this.#write(folder, platform, collateral);
      return collateral;
    } catch (error) {
      if (this.#failures.size >= this.#limit) this.#failures.clear();
      this.#failures.set(key, { error, until: clock().getTime() + negativeMs });
      this.#tell({ kind: "fetch-refused", platform, ...codeOf(error) });
      throw error;
    }
  }

  /** Verifies a set and keeps it. Stored sets were fetched at different times, so they may differ in age among themselves. */
  #take(key: string, platform: QuotedPlatform, collateral: Collateral, origin: "fetched" | "stored"): void {
    const { anchors, clock, maxAgeMs = Number.POSITIVE_INFINITY, random = Math.random } = this.#options;
    const now = clock();
    const state = verifyCollateral(collateral, platform, anchors, now);
    if (origin === "fetched" && this.#marks.goesBack(platform, this.#update, state))
      throw refusal("COLLATERAL_ROLLED_BACK");
    this.#marks.raise(platform, this.#update, state);
    const remainingMs = state.earliestExpiry.getTime() - now.getTime();
    const waitMs = Math.min(remainingMs * (0.5 + JITTER * random()), maxAgeMs);
    if (this.#kept.size >= this.#limit && !this.#kept.has(key)) this.#kept.clear();
    this.#kept.set(key, { platform, collateral, state, refreshAt: new Date(now.getTime() + waitMs) });
  }

  /** A folder that cannot be written costs a fetch after the next start, nothing else. */
  async #write(folder: string, platform: QuotedPlatform, collateral: Collateral): Promise<void> {
    try {
      await writeSet(folder, { platform, update: this.#update }, collateral);
      this.#tell({ kind: "stored", platform });
    } catch {
      this.#tell({ kind: "stored-refused", platform });
    }
  }

  /** Takes every set of the folder that still verifies, so that none of them can be followed by an older one. */
  async #readFolder(): Promise<void> {
    const { folder } = this.#options;
    const stored = folder === undefined ? [] : await listSets(folder);
    for (const { platform, update } of stored.slice(0, this.#limit)) {
      if (folder === undefined || update !== this.#update) continue;
      const name = collateralFileName(platform, update);
      try {
        this.#take(name, platform, await readSet(join(folder, name)), "stored");
      } catch (error) {
        this.#tell({ kind: "stored-refused", platform, ...codeOf(error) });
      }
    }
  }

  get #limit(): number {
    return this.#options.maxPlatforms ?? DEFAULT_PLATFORMS;
  }

  #tell(event: CollateralEvent): void {
    this.#options.onEvent?.(event);
  }
}

function codeOf(error: unknown): { code?: AttestationErrorCode } {
  return error instanceof AttestationError ? { code: error.code } : {};
}
