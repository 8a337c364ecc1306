import {
  type ImportedPolicy,
  isServiceRule,
  type PlannedEffect,
  type Policy,
  type PolicyChange,
  type Workload,
} from "@cloister/policy";
import { renderTable } from "../../output/table.ts";
import type { Terminal } from "../../output/terminal.ts";

const SHOWN_EFFECTS = 50;

/** What a policy allows, a line for each workload. */
export function showPolicy(terminal: Terminal, policy: Policy, sha256: string): void {
  const columns = ["workload", "enclaves", "platforms", "TCB", "key", "model"].map((title) => ({ title }));
  terminal.line(renderTable(columns, policy.workloads.map(rowOf)));
  terminal.line();
  if (!policy.production)
    terminal.line(terminal.style("yellow", "not for production: SIMULATED platforms may be named"));
  if (policy.workloads.length === 0) terminal.line("no workload: every request is refused");
  terminal.line(`SHA-256 ${sha256}`);
}

function rowOf({ name, identities, platforms, tcb, secrets }: Workload): string[] {
  const { model, keyId } = secrets;
  return [
    name,
    String(identities.length),
    platforms.map(({ kind }) => kind.replace("simulated", "SIMULATED")).join(", "),
    platforms.some(isServiceRule) ? "as the service judges" : tcb.statuses.join(", "),
    keyId,
    model === null ? "" : `${model.name} ${model.version}, generation ${model.minimumGeneration} or later`,
  ];
}

export function showDiff(terminal: Terminal, changes: readonly PolicyChange[]): void {
  if (changes.length === 0) terminal.line("no difference");
  for (const { path, before, after } of changes) {
    terminal.line(path);
    if (before !== null) terminal.line(terminal.style("red", `  - ${before}`));
    if (after !== null) terminal.line(terminal.style("green", `  + ${after}`));
  }
}

export interface ShownPlan {
  readonly changes: readonly PolicyChange[];
  readonly effects: readonly (PlannedEffect & { readonly running: boolean })[];
  readonly replayed: number;
}

export function showPlan(terminal: Terminal, { changes, effects, replayed }: ShownPlan): void {
  showDiff(terminal, changes);
  terminal.line();
  const columns = ["entry", "effect", "codes", "still serving"].map((title) => ({ title }));
  const rows = effects.slice(0, SHOWN_EFFECTS).map((effect) => {
    const until = effect.servesUntil === null ? "without end" : `until ${effect.servesUntil}`;
    return [String(effect.index), effect.effect, effect.codes.join(", "), effect.running ? until : ""];
  });
  if (rows.length > 0) terminal.line(renderTable(columns, rows));
  if (effects.length > rows.length) terminal.line(`and ${effects.length - rows.length} more`);
  const running = effects.filter((effect) => effect.running && effect.effect === "now refused");
  const endless = running.filter(({ servesUntil }) => servesUntil === null).length;
  terminal.line(`${effects.length} of ${replayed} past decisions would come out otherwise`);
  terminal.line(`${running.length} enclaves that would be refused can still be serving`);
  if (endless > 0) terminal.line(`${endless} of them without end: they have a key and no lease or serving certificate`);
}

export function showImport(terminal: Terminal, { policy, notes }: ImportedPolicy, output: string | undefined): void {
  for (const { what, why } of notes) terminal.line(`${what}\n  ${why}`);
  terminal.line();
  terminal.line(output === undefined ? JSON.stringify(policy, null, 2) : `wrote ${output}`);
}
