import type { VerifiedClaims } from "@cloister/attestation";
import { checkConditions } from "./conditions.ts";
import type { Decision, Denial } from "./decision.ts";
import { checkIdentity } from "./identity.ts";
import type { Policy, Workload } from "./policy.ts";
import { type PolicyClaims, toPolicyClaims } from "./policy-claims.ts";

/**
 * Decides what an enclave with these verified claims may have at that time. The first workload of which every condition holds
 * allows; otherwise everything is denied. Pure and total: it never throws for claims and a parsed policy.
 */
export function evaluate(policy: Policy, claims: VerifiedClaims, at: Date): Decision {
  return replay(policy, toPolicyClaims(claims), at);
}

/**
 * The same for claims kept in a release log: what would have been decided. For reports about policies only; a broker releases
 * on `evaluate`, whose claims only an appraisal can make.
 */
export function replay(policy: Policy, claims: PolicyClaims, at: Date): Decision {
  const verdicts = policy.workloads.map((workload) => judge(workload, claims, at));
  const match = verdicts.find((verdict) => verdict.denials.length === 0);
  if (match !== undefined) {
    const { workload, rule } = match;
    return { allowed: true, workload: workload.name, rule, secrets: workload.secrets, conditions: workload };
  }
  return { allowed: false, denials: verdicts.length === 0 ? [noWorkload(claims)] : explain(verdicts) };
}

interface Verdict {
  readonly workload: Workload;
  readonly rule: string;
  readonly isIdentified: boolean;
  readonly denials: readonly Denial[];
}

function judge(workload: Workload, claims: PolicyClaims, at: Date): Verdict {
  const path = `workloads.${workload.name}.identities`;
  const identities = workload.identities.map((identity, i) => ({
    rule: `${path}.${i}`,
    denials: checkIdentity(identity, claims, `${path}.${i}`),
  }));
  // The identity with the fewest objections tells most about what was wrong.
  const [first, ...others] = identities;
  const closest = others.reduce(
    (best, other) => (other.denials.length < (best?.denials.length ?? 0) ? other : best),
    first,
  );
  if (closest === undefined) return { workload, rule: path, isIdentified: false, denials: [noWorkload(claims)] };
  return {
    workload,
    rule: closest.rule,
    isIdentified: closest.denials.length === 0,
    denials: [...closest.denials, ...checkConditions(workload, claims, at)],
  };
}

/** Denials of the workloads that know the enclave; where none does, of all, the one with the fewest objections first. */
function explain(verdicts: readonly Verdict[]): readonly Denial[] {
  const identified = verdicts.filter((verdict) => verdict.isIdentified);
  const told = identified.length > 0 ? identified : verdicts;
  return told.toSorted((a, b) => a.denials.length - b.denials.length).flatMap((verdict) => verdict.denials);
}

function noWorkload(claims: PolicyClaims): Denial {
  return {
    code: "NO_WORKLOAD_MATCHES",
    rule: "workloads",
    claim: "tee",
    expected: "a workload in the policy",
    got: claims.tee,
  };
}
