import { readFile, writeFile } from "node:fs/promises";
import { lintManifest, type LintFinding, type LintSeverity, upgradeManifestText } from "@cloister/enclave";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";

interface LintFlags {
  readonly upgrade?: string;
  readonly json?: boolean;
}

const MARKS: Readonly<Record<LintSeverity, readonly ["red" | "yellow" | "dim", string]>> = {
  error: ["red", "✗"],
  warning: ["yellow", "!"],
  note: ["dim", "·"],
};

/** `cloister enclave lint`. */
export function lintCommand(setExit: (code: number) => void): Command {
  return new Command("lint")
    .description("Check a Gramine manifest or template, of any age: what the host could change, see or leave out.")
    .argument("<manifest>", ".manifest, .manifest.sgx, .manifest.template, or a packer's TOML")
    .option("--upgrade <file>", "also write it with the keys of Gramine 1.9; weak points stay")
    .option("--json", "print one JSON document")
    .action(async (manifest: string, flags: LintFlags) => setExit(await lint(manifest, flags)));
}

/** Exit code 1 where a finding is an error. */
async function lint(path: string, flags: LintFlags): Promise<number> {
  const bytes = new Uint8Array(await readFile(path));
  const findings = lintManifest(bytes);
  const terminal = openTerminal(flags.json === true);
  showFindings(terminal, findings);
  const upgraded = flags.upgrade === undefined ? undefined : upgradeManifestText(bytes);
  if (upgraded !== undefined && flags.upgrade !== undefined) {
    await writeFile(flags.upgrade, upgraded.text);
    terminal.line(`${flags.upgrade}: ${upgraded.changed.length} keys replaced or dropped`);
  }
  const ok = !findings.some(({ severity }) => severity === "error");
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ok, findings, ...(upgraded && { upgraded: upgraded.changed }) })}\n`);
  }
  return ok ? EXIT.done : EXIT.refused;
}

function showFindings(terminal: Terminal, findings: readonly LintFinding[]): void {
  for (const { rule, severity, at, why, remedy } of findings) {
    const [style, mark] = MARKS[severity];
    terminal.line(`${terminal.style(style, mark)} ${rule}: ${at}`);
    terminal.line(`    ${why}`);
    terminal.line(`    remedy: ${remedy}`);
  }
  const count = (severity: LintSeverity): number => findings.filter((finding) => finding.severity === severity).length;
  terminal.line(`${count("error")} errors, ${count("warning")} warnings, ${count("note")} notes`);
}
