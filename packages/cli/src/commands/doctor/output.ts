import type { Cloud, Finding, Meaning, Purpose, Severity } from "@cloister/enclave/doctor";
import type { Terminal } from "../../output/terminal.ts";

const MARKS: Readonly<Record<Severity, readonly ["green" | "dim" | "yellow" | "red", string]>> = {
  ok: ["green", "✓"],
  note: ["dim", "·"],
  warning: ["yellow", "!"],
  error: ["red", "✗"],
};
const CHECK_WIDTH = 22;

/** Findings in order; those that are not fine with cause and remedy. */
export function showFindings(terminal: Terminal, findings: readonly Finding[], purpose: Purpose): void {
  for (const { check, severity, found, cause, remedy } of findings) {
    const [style, mark] = MARKS[severity];
    terminal.line(`${terminal.style(style, mark)} ${check.padEnd(CHECK_WIDTH)}${found}`);
    if (severity === "ok" || severity === "note") continue;
    if (cause !== undefined) terminal.line(`${" ".repeat(CHECK_WIDTH + 2)}cause: ${cause}`);
    if (remedy !== undefined) terminal.line(`${" ".repeat(CHECK_WIDTH + 2)}remedy: ${remedy}`);
  }
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const notes = findings.filter(({ severity }) => severity === "note").length;
  terminal.line();
  if (notes > 0)
    terminal.line(`· not needed for "${purpose}"; \`--json\` has causes and remedies of these ${notes} too`);
  terminal.line(errors === 0 ? `nothing is missing for "${purpose}"` : `${errors} missing for "${purpose}"`);
}

/** What numbers mean. */
export function showMeanings(terminal: Terminal, meanings: readonly Meaning[]): void {
  for (const { source, name, number, cause, remedy } of meanings) {
    terminal.line(`${terminal.style("bold", name)}${number === undefined ? "" : ` ${number}`} (${source})`);
    terminal.line(`  cause: ${cause}`);
    terminal.line(`  remedy: ${remedy}`);
  }
}

/** What to expect on a provider's machines. */
export function showCloud(
  terminal: Pick<Terminal, "line">,
  { instances, epcGiB, vcpus, system, service, guide }: Cloud,
): void {
  terminal.line(`machines    ${instances.join(", ")} (${vcpus} vCPUs, ${epcGiB} GiB EPC at the size that was used)`);
  terminal.line(`system      ${system}`);
  terminal.line(`collateral  --service ${service}`);
  terminal.line(`guide       ${guide}`);
  terminal.line();
}
