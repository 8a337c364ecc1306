import type { VerifiedClaims } from "./claims.ts";
import type { Collateral } from "./collateral.ts";
import { refusal } from "./errors.ts";
import type { TrustAnchor } from "./trust-anchor.ts";

/** What a platform shows: a quote. Nothing in it is verified. */
export interface Evidence {
  readonly quote: Uint8Array;
}

/** Verifies a quote. Throws `AttestationError`. */
export function appraise(
  _evidence: Evidence,
  _collateral: Collateral,
  _anchors: readonly TrustAnchor[],
  _time: Date,
): VerifiedClaims {
  throw refusal("QUOTE_MALFORMED");
}
