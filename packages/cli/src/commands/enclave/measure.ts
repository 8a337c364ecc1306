import { readFile } from "node:fs/promises";
import { type MeasuredManifest, measureManifest } from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { need } from "../../read-document.ts";

interface MeasureFlags {
  readonly manifest: string;
  readonly libpal?: string;
  readonly json?: boolean;
}

/** `cloister enclave measure`. */
export function measureCommand(setExit: (code: number) => void): Command {
  return new Command("measure")
    .description("Compute MRENCLAVE, equal to Gramine's, without SGX; or the measurement on the SIMULATED platform.")
    .requiredOption("--manifest <file>", "the .manifest.sgx, byte for byte as it will be loaded; or a JSON manifest")
    .option("--libpal <file>", "the libpal.so of the Gramine that will run; needed for .manifest.sgx")
    .option("--json", "print one JSON document")
    .action(async (flags: MeasureFlags) => setExit(await measure(flags)));
}

async function measure(flags: MeasureFlags): Promise<number> {
  const { platform, mrenclave, isvProdId, isvSvn, debug } = await measureFile(flags);
  const terminal = openTerminal(flags.json === true);
  terminal.line(`${platform === "simulated" ? "SIMULATED MRENCLAVE" : "MRENCLAVE"}  ${toHex(mrenclave)}`);
  terminal.line(`product id ${isvProdId}, security version ${isvSvn}, debug ${debug ? "ON" : "off"}`);
  if (flags.json === true) {
    const report = { platform, mrenclave: toHex(mrenclave), isvProdId, isvSvn, debug };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
  return EXIT.done;
}

/** Throws OPTION_MISSING where Gramine's manifest comes without its loader. */
async function measureFile({ manifest, libpal }: MeasureFlags): Promise<MeasuredManifest> {
  const loader = libpal === undefined ? undefined : new Uint8Array(await readFile(libpal));
  return need(measureManifest(new Uint8Array(await readFile(manifest)), loader), "--libpal");
}
