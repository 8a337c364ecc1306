import type { TimeFault } from "../appraisal/appraisal-codes.ts";

/** When an item counts. Both ends belong to it. */
export interface Validity {
  readonly from: Date;
  readonly until: Date;
}

/** What is wrong with the time, or `undefined` inside the validity (dcap.md C.6: closed interval, no skew). */
export function timeFault({ from, until }: Validity, time: Date): TimeFault | undefined {
  if (time.getTime() > until.getTime()) return "EXPIRED";
  return time.getTime() < from.getTime() ? "NOT_YET_VALID" : undefined;
}
