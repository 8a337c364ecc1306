import { readFile } from "node:fs/promises";
import { type Difference, explainDifference } from "@cloister/enclave";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";

/** `cloister enclave explain`. */
export function explainCommand(setExit: (code: number) => void): Command {
  return new Command("explain")
    .description("Say why two enclaves have different measurements: the lines and files that moved it.")
    .argument("<before>", ".manifest.sgx or JSON manifest")
    .argument("<after>", "another one of the same kind")
    .option("--json", "print one JSON document")
    .action(async (before: string, after: string, { json = false }: { readonly json?: boolean }) => {
      const difference = explainDifference(await bytesOf(before), await bytesOf(after));
      show(openTerminal(json), difference);
      if (json) process.stdout.write(`${JSON.stringify(difference)}\n`);
      setExit(EXIT.done);
    });
}

async function bytesOf(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

function show(terminal: Terminal, { identical, isFormattingOnly, keys, files }: Difference): void {
  if (identical) terminal.line("the same bytes: only another libpal.so can move the measurement");
  if (isFormattingOnly)
    terminal.line("the same content in other bytes (order, comments, spaces), which are measured too");
  for (const { key, before, after } of keys) {
    terminal.line(`${terminal.style("bold", key)}: ${before ?? "absent"} → ${after ?? "absent"}`);
  }
  for (const { file, change } of files) terminal.line(`${change.padEnd(8)} ${file}`);
}
