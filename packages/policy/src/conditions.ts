import type { Denial } from "./decision.ts";
import { checkPlatform, isServiceRule } from "./platform.ts";
import type { Workload } from "./policy.ts";
import type { PolicyClaims } from "./policy-claims.ts";

const MS_PER_DAY = 86_400_000;

/** Denials of everything but the identity: platform, debug, TCB, collateral age, hardware lists, validity window. */
export function checkConditions(workload: Workload, claims: PolicyClaims, at: Date): Denial[] {
  const path = `workloads.${workload.name}`;
  return [
    ...checkPlatform(workload.platforms, claims, `${path}.platforms`),
    ...checkDebug(workload, claims, `${path}.debug`),
    ...checkTcb(workload, claims, at, `${path}.tcb`),
    ...checkListed("FMSPC_NOT_ALLOWED", workload.fmspcs, claims.fmspc, "fmspc", `${path}.fmspcs`),
    ...checkListed("PPID_NOT_ALLOWED", workload.ppids, claims.ppid, "ppid", `${path}.ppids`),
    ...checkWindow(workload, at, `${path}.validity`),
  ];
}

function checkDebug(workload: Workload, claims: PolicyClaims, rule: string): Denial[] {
  return claims.debug && !workload.debug
    ? [{ code: "DEBUG_ENCLAVE", rule, claim: "debug", expected: "false", got: "true" }]
    : [];
}

function checkTcb({ tcb, platforms }: Workload, claims: PolicyClaims, at: Date, rule: string): Denial[] {
  // Who names a service takes its word for the TCB. The claims have to be that service's all the same: see checkPlatform.
  if (platforms.some(isServiceRule)) return checkExpiry(claims, at, rule);
  const denials: Denial[] = [];
  if (!tcb.statuses.some((status) => status === claims.tcbStatus)) {
    denials.push({
      code: "TCB_STATUS_NOT_ALLOWED",
      rule: `${rule}.statuses`,
      claim: "tcbStatus",
      expected: tcb.statuses.join(", "),
      got: claims.tcbStatus,
    });
  }
  const accepted = tcb.acceptedAdvisories;
  const open = accepted === null ? [] : claims.advisoryIds.filter((id) => !accepted.includes(id));
  if (open.length > 0) {
    denials.push({
      code: "ADVISORY_NOT_ACCEPTED",
      rule: `${rule}.acceptedAdvisories`,
      claim: "advisoryIds",
      expected: accepted?.length === 0 ? "none open" : `only ${accepted?.join(", ") ?? ""}`,
      got: open.join(", "),
    });
  }
  if (claims.evaluationDataNumber < tcb.minimumEvaluationDataNumber) {
    denials.push({
      code: "EVALUATION_NUMBER_TOO_LOW",
      rule: `${rule}.minimumEvaluationDataNumber`,
      claim: "evaluationDataNumber",
      expected: `at least ${tcb.minimumEvaluationDataNumber}`,
      got: String(claims.evaluationDataNumber),
    });
  }
  return [
    ...denials,
    ...checkExpiry(claims, at, rule),
    ...checkAge(tcb.maximumCollateralAgeDays, claims, at, `${rule}.maximumCollateralAgeDays`),
  ];
}

/** Gramine's verifier looks at expiry only where the status is the best one; no status makes up for it here. */
function checkExpiry(claims: PolicyClaims, at: Date, rule: string): Denial[] {
  // Not `<`: an expiry that is not a date is over.
  if (Date.parse(claims.earliestExpiry) >= at.getTime()) return [];
  const expected = `not before ${Number.isNaN(at.getTime()) ? "an unknown time" : at.toISOString()}`;
  return [{ code: "COLLATERAL_EXPIRED", rule, claim: "earliestExpiry", expected, got: claims.earliestExpiry }];
}

function checkAge(maximumDays: number | null, claims: PolicyClaims, at: Date, rule: string): Denial[] {
  if (maximumDays === null) return [];
  const ageMs = at.getTime() - Date.parse(claims.earliestIssue);
  // Not `>`: an age that is not a number is too old.
  if (ageMs <= maximumDays * MS_PER_DAY) return [];
  return [
    {
      code: "COLLATERAL_TOO_OLD",
      rule,
      claim: "earliestIssue",
      expected: `at most ${maximumDays} days old`,
      got: claims.earliestIssue,
    },
  ];
}

function checkListed(
  code: "FMSPC_NOT_ALLOWED" | "PPID_NOT_ALLOWED",
  list: readonly string[] | null,
  got: string,
  claim: string,
  rule: string,
): Denial[] {
  if (list === null || list.includes(got)) return [];
  return [{ code, rule, claim, expected: `one of ${list.length} listed`, got }];
}

function checkWindow({ validity }: Workload, at: Date, rule: string): Denial[] {
  const { notBefore, notAfter } = validity;
  const isInside =
    (notBefore === null || at.getTime() >= Date.parse(notBefore)) &&
    (notAfter === null || at.getTime() < Date.parse(notAfter));
  if (isInside) return [];
  return [
    {
      code: "OUTSIDE_VALIDITY_WINDOW",
      rule,
      claim: "time",
      expected: `from ${notBefore ?? "ever"} until ${notAfter ?? "ever"}`,
      got: Number.isNaN(at.getTime()) ? "no valid time" : at.toISOString(),
    },
  ];
}
