import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type MeasuredManifest, measureManifest, policyEntry } from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { Command } from "commander";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { need, readCertificate } from "../../read-document.ts";
import { updatePolicyFile } from "./policy-file.ts";

interface MeasureFlags {
  readonly manifest: string;
  readonly libpal?: string;
  readonly policy?: string;
  readonly workload?: string;
  readonly keyId?: string;
  readonly model?: string;
  readonly modelVersion: number;
  readonly minimumGeneration: number;
  readonly dns: readonly string[];
  readonly trustAnchor?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

/** `cloister enclave measure`. */
export function measureCommand(setExit: (code: number) => void): Command {
  return new Command("measure")
    .description("Compute MRENCLAVE, equal to Gramine's, without SGX; or the measurement on the SIMULATED platform.")
    .requiredOption("--manifest <file>", "the .manifest.sgx, byte for byte as it will be loaded; or a JSON manifest")
    .option("--libpal <file>", "the libpal.so of the Gramine that will run; needed for .manifest.sgx")
    .option("--policy <file>", "name the measurement in this release policy; made where it is not there")
    .option("--workload <name>", "whose identity it is (default: serve-MODEL)")
    .option("--keep", "keep the workload's earlier identities, while replicas are exchanged")
    .option("--key-id <id>", "for a new workload: its key (default: models/MODEL/VERSION)")
    .option("--model <name>", "for a new workload: the model (default: the JSON manifest's)")
    .option("--model-version <n>", "its version", wholeNumber(1, 1e15), 1)
    .option("--minimum-generation <n>", "its oldest acceptable generation", wholeNumber(0, 1e15), 1)
    .option("--dns <name...>", "names of the serving certificate", ["grpc.tf-serving.service.com"])
    .option("--trust-anchor <file>", "root of the SIMULATED platform, PEM")
    .option("--json", "print one JSON document")
    .action(async (flags: MeasureFlags) => setExit(await measure(flags)));
}

async function measure(flags: MeasureFlags): Promise<number> {
  const measured = await measureFile(flags);
  const { platform, mrenclave, isvProdId, isvSvn, debug } = measured;
  const terminal = openTerminal(flags.json === true);
  terminal.line(`${platform === "simulated" ? "SIMULATED MRENCLAVE" : "MRENCLAVE"}  ${toHex(mrenclave)}`);
  terminal.line(`product id ${isvProdId}, security version ${isvSvn}, debug ${debug ? "ON" : "off"}`);
  const policy = flags.policy === undefined ? undefined : await writePolicy(flags.policy, measured, flags);
  if (policy !== undefined) terminal.line(`${policy.file}: workload ${policy.workload} ${policy.change}`);
  if (flags.json === true) {
    const report = { platform, mrenclave: toHex(mrenclave), isvProdId, isvSvn, debug, ...(policy && { policy }) };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
  return EXIT.done;
}

/** Throws OPTION_MISSING where Gramine's manifest comes without its loader. */
async function measureFile({ manifest, libpal }: MeasureFlags): Promise<MeasuredManifest> {
  const loader = libpal === undefined ? undefined : new Uint8Array(await readFile(libpal));
  return need(measureManifest(new Uint8Array(await readFile(manifest)), loader), "--libpal");
}

async function writePolicy(file: string, measured: MeasuredManifest, flags: MeasureFlags) {
  const named = measured.platform === "simulated" ? measured.manifest.config.model : undefined;
  const model = flags.model === undefined ? named : { name: flags.model, version: flags.modelVersion };
  const workload = flags.workload ?? `serve-${need(model, "--workload or --model").name}`;
  const entry = async () => {
    const id = flags.keyId ?? (model && `models/${model.name}/${model.version}`);
    const simulatedAnchor =
      measured.platform === "simulated" ? await anchorDigest(need(flags.trustAnchor, "--trust-anchor")) : undefined;
    return policyEntry({
      measured,
      workload,
      keyId: need(id, "--key-id or --model"),
      dnsNames: flags.dns,
      ...(model && { model: { ...model, minimumGeneration: flags.minimumGeneration } }),
      ...(simulatedAnchor !== undefined && { simulatedAnchor }),
    });
  };
  return {
    file,
    workload,
    change: await updatePolicyFile({ file, workload, measured, keep: flags.keep === true, entry }),
  };
}

async function anchorDigest(path: string): Promise<string> {
  const { der } = await readCertificate(path);
  return createHash("sha256").update(der).digest("hex");
}
