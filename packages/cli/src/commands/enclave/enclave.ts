import { Command } from "commander";
import { explainCommand } from "./explain.ts";
import { lintCommand } from "./lint.ts";
import { imageCommand } from "./image.ts";
import { manifestCommand } from "./manifest.ts";
import { measureCommand } from "./measure.ts";
import { runCommand, simulateCommand } from "./run.ts";
import { signCommand } from "./sign.ts";

/** `cloister enclave`: what runs in the TEE. */
export function enclaveCommand(setExit: (code: number) => void): Command {
  const enclave = new Command("enclave").description("Prepare, measure, sign and run what runs in the TEE.");
  const prepare = [manifestCommand, lintCommand, measureCommand, signCommand, explainCommand, imageCommand];
  for (const make of [...prepare, runCommand, simulateCommand]) enclave.addCommand(make(setExit));
  return enclave;
}
