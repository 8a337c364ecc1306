import type { Allowed, Decision, DenialCode } from "./decision.ts";
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
  /** Whether the enclave got its secrets then. */
  readonly released: boolean;
  readonly claims: PolicyClaims;
}

export interface PlannedEffect {
  readonly index: number;
  readonly effect: "now refused" | "now allowed" | "other secrets";
  /** Of the new policy; empty where it allows. */
  readonly codes: readonly DenialCode[];
  /** Of the past decision: an enclave that was refused cannot be running. */
  readonly released: boolean;
  /**
   * Until when the enclave can serve with what the current policy gives: the end of its lease or of its serving certificate.
   * Null where nothing ends it: a key alone cannot be taken back.
   */
  readonly servesUntil: string | null;
}

/** Which of the past decisions would come out otherwise under the next policy, each at its own time. */
export function planPolicy(current: Policy, next: Policy, past: Iterable<PastDecision>): PlannedEffect[] {
  const effects: PlannedEffect[] = [];
  for (const { index, time, released, claims } of past) {
    const at = new Date(time);
    const [was, will] = [replay(current, claims, at), replay(next, claims, at)];
    const effect = effectOf(was, will);
    if (effect === undefined) continue;
    const codes = will.allowed ? [] : [...new Set(will.denials.map(({ code }) => code))];
    effects.push({ index, effect, codes, released, servesUntil: was.allowed ? servesUntil(was, at) : null });
  }
  return effects;
}

function effectOf(was: Decision, will: Decision): PlannedEffect["effect"] | undefined {
  if (!was.allowed) return will.allowed ? "now allowed" : undefined;
  if (!will.allowed) return "now refused";
  return JSON.stringify(was.secrets) === JSON.stringify(will.secrets) ? undefined : "other secrets";
}

function servesUntil({ secrets: { serving, leaseSeconds } }: Allowed, at: Date): string | null {
  const seconds = Math.min(leaseSeconds ?? Infinity, serving?.validitySeconds ?? Infinity);
  return Number.isFinite(seconds) ? new Date(at.getTime() + seconds * MS_PER_SECOND).toISOString() : null;
}
