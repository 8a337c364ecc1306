import { InputError } from "../read-document.ts";
import { EXIT } from "./exit-code.ts";
import { reportOf } from "./format-error.ts";

/**
 * Reports why a command ended: to standard error as `CODE: what - why - what to do`, or as one JSON document with `--json`; with
 * `--verbose` the stack too. Gives the exit code.
 */
export function reportError(error: unknown, argv: readonly string[]): number {
  const report = reportOf(error);
  if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ ok: false, error: report })}\n`);
  else process.stderr.write(`${report.code}: ${report.message}\n`);
  if (argv.includes("--verbose") && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  return error instanceof InputError && error.isUsage ? EXIT.usage : EXIT.refused;
}
