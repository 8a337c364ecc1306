import type { Collateral } from "../collateral.ts";
import type { CollateralService } from "../collateral-request.ts";
import { refusal } from "../errors.ts";
import { quotedPlatform, type QuotedPlatform } from "../quoted-platform.ts";
import type { TrustAnchor } from "../trust-anchor.ts";
import { verifyCollateral, type CollateralState } from "../verify-collateral.ts";
import { fetchCollateral, type FetchCollateralOptions } from "./collateral-client.ts";

export interface CollateralSourceOptions extends Omit<FetchCollateralOptions, "signal"> {
  readonly service: CollateralService;
  readonly anchors: readonly TrustAnchor[];
  readonly clock: () => Date;
  /** Kinds of platforms to keep. Default 256. */
  readonly maxPlatforms?: number;
}

/** Gives the collateral for a quote. */
export type CollateralSource = (quote: Uint8Array) => Promise<Collateral>;

interface Kept {
  readonly collateral: Collateral;
  readonly state: CollateralState;
  /** From then on a newer set is asked for. */
  readonly refreshAt: Date;
}

const DEFAULT_PLATFORMS = 256;

/**
 * A source that keeps what it fetched (dcap.md C.9): verified before it is kept, asked for again from half of its remaining
 * life on, given out until it expires where the service fails, never after. A set that is older than the kept one in any
 * part is refused. Requests for the same kind of platform at the same time are one request.
 */
export function createCollateralSource(options: CollateralSourceOptions): CollateralSource {
  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<Collateral>>();
  return async (quote) => {
    const platform = quotedPlatform(quote);
    const key = `${platform.tee}/${platform.fmspc}/${platform.pckCa}`;
    const known = kept.get(key);
    if (known !== undefined && options.clock() < known.refreshAt) return known.collateral;
    const request = underWay.get(key) ?? refresh(options, platform, kept, key);
    underWay.set(key, request);
    try {
      return await request;
    } finally {
      underWay.delete(key);
    }
  };
}

async function refresh(
  options: CollateralSourceOptions,
  platform: QuotedPlatform,
  kept: Map<string, Kept>,
  key: string,
): Promise<Collateral> {
  const known = kept.get(key);
  try {
    const collateral = await fetchCollateral(options.service, platform, options);
    const now = options.clock();
    const state = verifyCollateral(collateral, platform, options.anchors, now);
    if (known !== undefined && goesBack(state, known.state)) throw refusal("COLLATERAL_ROLLED_BACK");
    const halfLifeMs = (state.earliestExpiry.getTime() - now.getTime()) / 2;
    if (kept.size >= (options.maxPlatforms ?? DEFAULT_PLATFORMS)) kept.clear();
    kept.set(key, { collateral, state, refreshAt: new Date(now.getTime() + halfLifeMs) });
    return collateral;
  } catch (error) {
    if (known !== undefined && options.clock() <= known.state.earliestExpiry) return known.collateral;
    throw error;
  }
}

function goesBack(next: CollateralState, last: CollateralState): boolean {
  return next.marks.some((mark, index) => mark < (last.marks[index] ?? mark));
}
