import { inspectItem } from "@cloister/attestation/inspect";
import { runVectorFolder, type VectorOutcome } from "@cloister/attestation/vector-folder";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { attestCollateralCommand } from "./collateral.ts";
import { AttestInputError, read } from "./options.ts";
import { showDetails, showVectorCounts } from "./output.ts";
import { attestVerifyCommand } from "./verify.ts";

interface JsonFlag {
  readonly json?: boolean;
}

/** `cloister attest`: evidence of TEEs and the collateral to verify it with. */
export function attestCommand(setExit: (code: number) => void): Command {
  const attest = new Command("attest").description(
    "Verify, inspect and test attestation evidence; keep its collateral.",
  );
  attest.addCommand(attestVerifyCommand(setExit));
  attest
    .command("inspect")
    .description("Show what is in a quote, certificate, revocation list or collateral item. Nothing is verified.")
    .argument("<file>", "binary, PEM, JSON, hex or base64")
    .option("--json", "print one JSON document")
    .action(async (file: string, flags: JsonFlag) => setExit(await inspect(file, flags)));
  attest.addCommand(attestCollateralCommand(setExit));
  attest
    .command("vectors")
    .description("Run a folder of verification cases in the format of the DCAP vectors.")
    .argument("<folder>", "folder with index.json")
    .option("--json", "print one JSON object a case")
    .action((folder: string, flags: JsonFlag) => setExit(runVectors(folder, flags)));
  return attest;
}

async function inspect(file: string, flags: JsonFlag): Promise<number> {
  const { kind, details } = inspectItem(await read(file));
  const terminal = openTerminal(flags.json === true);
  terminal.line(terminal.style("bold", kind));
  showDetails(terminal, details);
  terminal.line(terminal.style("dim", "nothing here was verified"));
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ kind, details })}\n`);
  return EXIT.done;
}

/** Exit code 1 where a case crashed the verifier, which is a defect; refusals are what cases are for. */
function runVectors(folder: string, flags: JsonFlag): number {
  const terminal = openTerminal(flags.json === true);
  const counts = new Map<string, number>();
  for (const { id, verdict, code, tcbStatus, advisoryIDs } of casesOf(folder)) {
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    terminal.line(`${verdict.padEnd(11)} ${id}  ${code ?? tcbStatus ?? ""}`);
    if (flags.json !== true) continue;
    process.stdout.write(`${JSON.stringify({ id, verdict, code, tcbStatus, advisoryIDs })}\n`);
  }
  showVectorCounts(terminal, counts);
  return counts.has("crashed") ? EXIT.refused : EXIT.done;
}

/** What a case holds never throws, so what is thrown is about the folder. */
function* casesOf(folder: string): Generator<VectorOutcome> {
  try {
    yield* runVectorFolder(folder);
  } catch (cause) {
    throw new AttestInputError(
      "VECTORS_NOT_READ",
      {
        what: `${folder} was not run`,
        why: "it has no index.json that can be read",
        remedy: "name a folder in the format of packages/attestation/vectors/dcap",
      },
      { cause },
    );
  }
}
