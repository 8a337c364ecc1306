import { writeFile } from "node:fs/promises";
import { encodeManifest, measureSimulated, replicaManifest } from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { Command, Option } from "commander";
import { readSection } from "../../config.ts";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { DEFAULTS, ENCLAVE_SECTION, type EnclaveSettings, INSTALLATION, replicaConfigOf } from "./options.ts";

interface ManifestFlags extends EnclaveSettings {
  readonly config?: string;
  readonly platform: "simulated" | "tdx";
  readonly output: string;
  readonly json?: boolean;
}

/** `cloister enclave manifest`: fixes what a replica is. */
export function manifestCommand(setExit: (code: number) => void): Command {
  return new Command("manifest")
    .description("Write what a replica is, file by file: its measurement follows from it. Nothing in it is secret.")
    .addOption(new Option("--platform <name>", "the TEE it is for").choices(["simulated", "tdx"]).default("simulated"))
    .requiredOption("--output <file>", "where to write it")
    .option("--config <file>", "configuration file (default: cloister.yaml, if there is one)")
    .option("--model <name>", "name of the model that it serves")
    .option("--model-version <n>", "its version (default: 1)", wholeNumber(1, 1e15))
    .option("--threads <n>", "engine threads (default: 1)", wholeNumber(1, 256))
    .option("--broker <host:port...>", `brokers; the first one's name is expected (default: ${DEFAULTS.broker})`)
    .option("--broker-name <dns>", "name in the brokers' certificates, where it is another")
    .option("--broker-ca <file>", "authority of the brokers' certificates: ca.pem of its state folder")
    .option("--broker-log-key <file>", "key of the release log: log-key.pem of its state folder")
    .option("--json", "print one JSON document")
    .action(async (flags: ManifestFlags) => setExit(await writeReplicaManifest(flags)));
}

async function writeReplicaManifest(flags: ManifestFlags): Promise<number> {
  const settings: EnclaveSettings = { ...(await readSection(flags.config, ENCLAVE_SECTION)), ...flags };
  const { isvProdId, isvSvn } = settings;
  const manifest = await replicaManifest({
    installation: INSTALLATION,
    config: await replicaConfigOf(settings),
    ...(isvProdId !== undefined && { isvProdId }),
    ...(isvSvn !== undefined && { isvSvn }),
  });
  await writeFile(flags.output, encodeManifest(manifest));
  const files = Object.keys(manifest.trustedFiles).length;
  const simulated = flags.platform === "simulated" ? { mrenclave: toHex(measureSimulated(manifest)) } : undefined;
  const terminal = openTerminal(flags.json === true);
  terminal.line(`${flags.output}: ${files} files of the program, model ${manifest.config.model.name}`);
  if (simulated !== undefined) terminal.line(`SIMULATED MRENCLAVE  ${simulated.mrenclave}`);
  if (flags.json === true) {
    const { platform, output } = flags;
    process.stdout.write(`${JSON.stringify({ platform, output, trustedFiles: files, ...simulated })}\n`);
  }
  return EXIT.done;
}
