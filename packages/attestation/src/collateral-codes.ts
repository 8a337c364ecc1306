import type { Explanation } from "@cloister/encoding";

/** Codes of collateral as a whole: its stored form. Faults of its items have the codes of the appraisal. */
export type CollateralErrorCode = "COLLATERAL_MALFORMED";

export const COLLATERAL_EXPLANATIONS: Readonly<Record<CollateralErrorCode, Explanation>> = {
  COLLATERAL_MALFORMED: {
    what: "stored collateral refused",
    why: "it is not in the form that this software writes",
    remedy: "fetch the collateral again",
  },
};
