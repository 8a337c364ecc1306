import type { Allowed, DenialCode } from "./decision.ts";
import { replay } from "./evaluate.ts";
import type { Policy } from "./policy.ts";
import type { PolicyClaims } from "./policy-claims.ts";

const MS_PER_SECOND = 1000;

/** One difference between two policies. */
export interface PolicyChange {
  /** Where, for example `workloads.digits.tcb.statuses`. Workloads go by name, other lists as a whole. */
  readonly path: string;
  /** JSON text, or null where there is nothing. */
  readonly before: string | null;
  readonly after: string | null;
}

/** What differs between two policies, in order of paths. */
export function diffPolicies(before: Policy, after: Policy): PolicyChange[] {
  const [old, young] = [flatten(before), flatten(after)];
  const paths = [...new Set([...old.keys(), ...young.keys()])].sort();
  return paths.flatMap((path) => {
    const change = { path, before: old.get(path) ?? null, after: young.get(path) ?? null };
    return change.before === change.after ? [] : [change];
  });
}

function flatten(policy: Policy): Map<string, string> {
  const { workloads, ...rest } = policy;
  const byName = Object.fromEntries(workloads.map(({ name, ...workload }) => [name, workload]));
  const leaves = new Map<string, string>();
  const visit = (path: string, value: unknown): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) leaves.set(path, JSON.stringify(value));
    else for (const [name, member] of Object.entries(value)) visit(path === "" ? name : `${path}.${name}`, member);
  };
  visit("", { ...rest, workloads: byName });
  return leaves;
}

/** A decision of the past: what was proved, and when. */
export interface PastDecision {
  readonly index: number;
  readonly time: string;
  readonly claims: PolicyClaims;
}

export interface PlannedEffect {
  readonly index: number;
  readonly effect: "now refused" | "now allowed" | "other secrets";
  /** Of the new policy; empty where it allows. */
  readonly codes: readonly DenialCode[];
  /**
   * Until when the enclave of a past release can serve with what it got: the end of its serving certificate. Null where
   * nothing ends it by itself (a key alone), or where nothing was released.
   */
  readonly servesUntil: string | null;
}

/** Which of the past decisions would come out otherwise under the next policy, each at its own time. */
export function planPolicy(current: Policy, next: Policy, past: Iterable<PastDecision>): PlannedEffect[] {
  const effects: PlannedEffect[] = [];
  for (const { index, time, claims } of past) {
    const at = new Date(time);
    const [was, will] = [replay(current, claims, at), replay(next, claims, at)];
    if (was.allowed && !will.allowed) {
      effects.push({
        index,
        effect: "now refused",
        codes: [...new Set(will.denials.map(({ code }) => code))],
        servesUntil: servesUntil(was, at),
      });
    } else if (!was.allowed && will.allowed) {
      effects.push({ index, effect: "now allowed", codes: [], servesUntil: null });
    } else if (was.allowed && will.allowed && JSON.stringify(was.secrets) !== JSON.stringify(will.secrets)) {
      effects.push({ index, effect: "other secrets", codes: [], servesUntil: servesUntil(was, at) });
    }
  }
  return effects;
}

function servesUntil({ secrets }: Allowed, at: Date): string | null {
  if (secrets.serving === null) return null;
  return new Date(at.getTime() + secrets.serving.validitySeconds * MS_PER_SECOND).toISOString();
}
