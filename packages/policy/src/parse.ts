import type { z } from "zod";
import { isSimulatedRule } from "./platform.ts";
import { type Policy, POLICY_SCHEMA, type Workload } from "./policy.ts";
import { PolicyError, type PolicyErrorCode } from "./policy-error.ts";
import { policySchema } from "./schema.ts";

const MAX_ISSUES_TOLD = 5;
const REMEDY = "correct the policy; nothing is released under it";

/** The policy of a broker that was given none: no workload, so every request is refused. */
export const REFUSE_ALL: Policy = { schema: POLICY_SCHEMA, production: true, workloads: [] };

/**
 * Checks an untrusted value (parsed JSON or YAML) and fills in the refusing defaults. Pure; keeps nothing of its input.
 * Throws `PolicyError`; a policy is accepted whole or not at all.
 */
export function parsePolicy(value: unknown): Policy {
  const parsed = policySchema.safeParse(value);
  if (!parsed.success) throw malformed(parsed.error);
  const policy: Policy = parsed.data;
  refuseDuplicates(policy.workloads);
  for (const workload of policy.workloads) {
    if (policy.production) checkProduction(workload);
    checkWindow(workload);
  }
  return deepFreeze(policy);
}

function malformed(error: z.ZodError): PolicyError {
  const told = error.issues
    .slice(0, MAX_ISSUES_TOLD)
    .map((issue) => `${issue.path.length === 0 ? "policy" : issue.path.join(".")}: ${issueText(issue)}`);
  const rest = error.issues.length - told.length;
  return new PolicyError("POLICY_MALFORMED", {
    what: "the policy is malformed",
    why: told.join("; ") + (rest > 0 ? `; and ${rest} more` : ""),
    remedy: REMEDY,
  });
}

/** Zod's messages name types and allowed values, not what was found, but for unknown keys. Those are an author's typos. */
function issueText(issue: z.core.$ZodIssue): string {
  return issue.code === "unrecognized_keys"
    ? `unknown key ${issue.keys.slice(0, 3).join(", ").slice(0, 100)}`
    : issue.message;
}

function refuse(code: PolicyErrorCode, workload: string, why: string): PolicyError {
  return new PolicyError(code, { what: `workload ${workload} is not acceptable`, why, remedy: REMEDY });
}

function refuseDuplicates(workloads: readonly Workload[]): void {
  const seen = new Set<string>();
  for (const { name } of workloads) {
    if (seen.has(name)) throw refuse("POLICY_DUPLICATE_WORKLOAD", name, "another workload has the same name");
    seen.add(name);
  }
}

function checkProduction(workload: Workload): void {
  if (workload.platforms.some(isSimulatedRule)) {
    throw refuse(
      "POLICY_SIMULATED_IN_PRODUCTION",
      workload.name,
      "a simulated platform protects nothing, and the policy is for production (say `production: false` to try things out)",
    );
  }
  if (workload.debug) {
    throw refuse("POLICY_DEBUG_IN_PRODUCTION", workload.name, "the host can read a debug enclave's memory");
  }
}

function checkWindow({ name, validity }: Workload): void {
  const { notBefore, notAfter } = validity;
  if (notBefore !== null && notAfter !== null && Date.parse(notBefore) >= Date.parse(notAfter)) {
    throw refuse("POLICY_EMPTY_WINDOW", name, "notAfter is not later than notBefore");
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
