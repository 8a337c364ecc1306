import { writeFile } from "node:fs/promises";
import { encodeManifest, measureSimulated, replicaManifest, type Runtime, RUNTIME_NAMES } from "@cloister/enclave";
import { toHex } from "@cloister/encoding";
import { Command, Option } from "commander";
import { readSection } from "../../config.ts";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { writeGramineManifest } from "./gramine-manifest.ts";
import { DEFAULTS, ENCLAVE_SECTION, type EnclaveSettings, INSTALLATION, replicaConfigOf } from "./options.ts";

interface ManifestFlags extends EnclaveSettings {
  readonly config?: string;
  readonly platform: "simulated" | "tdx" | "gramine";
  readonly runtime?: Runtime;
  readonly output: string;
  readonly json?: boolean;
}

/** `cloister enclave manifest`: fixes what a replica is. */
export function manifestCommand(setExit: (code: number) => void): Command {
  return new Command("manifest")
    .description("Write what a replica is, file by file: its measurement follows from it. Nothing in it is secret.")
    .addOption(
      new Option("--platform <name>", "the TEE it is for")
        .choices(["simulated", "tdx", "gramine"])
        .default("simulated"),
    )
    .requiredOption("--output <path>", "file to write, or folder for --platform gramine")
    .option("--config <file>", "configuration file (default: cloister.yaml, if there is one)")
    .option("--model <name>", "name of the model that it serves")
    .option("--model-version <n>", "its version (default: 1)", wholeNumber(1, 1e15))
    .option("--threads <n>", "engine threads (default: 1)", wholeNumber(1, 256))
    .option("--broker <host:port...>", `brokers; the first one's name is expected (default: ${DEFAULTS.broker})`)
    .option("--broker-name <dns>", "name in the brokers' certificates, where it is another")
    .option("--broker-ca <file>", "authority of the brokers' certificates: ca.pem of its state folder")
    .option("--broker-log-key <file>", "key of the release log: log-key.pem of its state folder")
    .addOption(new Option("--runtime <name>", "gramine: the server (default: cloister)").choices(RUNTIME_NAMES))
    .option("--model-bytes <n>", "gramine: size of the model, for enclave size and threads", wholeNumber(1, 1e15))
    .option("--enclave-size <size>", "gramine: 4G and the like (default: from the model)")
    .option("--max-threads <n>", "gramine: threads of the enclave (default: from --threads)", wholeNumber(4, 4096))
    .option("--gramine-folder <folder>", "gramine: where Gramine is installed")
    .option("--library-folder <folder...>", "gramine: further folders with libraries")
    .option("--installation <folder>", "gramine: built packages of this program, for --runtime cloister")
    .option("--binary <file>", `gramine: the server (default: ${DEFAULTS.binary}), for --runtime tensorflow-serving`)
    .option("--key-name <name>", "gramine: key of the encrypted mounts (default: default)")
    .option("--json", "print one JSON document")
    .action(async (flags: ManifestFlags) => setExit(await writeManifest(flags)));
}

async function writeManifest(flags: ManifestFlags): Promise<number> {
  const settings: EnclaveSettings = { ...(await readSection(flags.config, ENCLAVE_SECTION)), ...flags };
  const terminal = openTerminal(flags.json === true);
  const { platform } = flags;
  const report =
    platform === "gramine"
      ? { platform, ...(await writeGramineManifest(settings, flags.output)) }
      : { platform, ...(await writeOwnManifest(settings, flags)) };
  terminal.line(`${report.output}: ${report.trustedFiles} trusted files`);
  if ("mrenclave" in report) terminal.line(`SIMULATED MRENCLAVE  ${report.mrenclave}`);
  if ("enclaveSize" in report) terminal.line(`enclave of ${report.enclaveSize}, ${report.maxThreads} threads`);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  return EXIT.done;
}

async function writeOwnManifest(settings: EnclaveSettings, { platform, output }: ManifestFlags) {
  const { isvProdId, isvSvn } = settings;
  const manifest = await replicaManifest({
    installation: INSTALLATION,
    config: await replicaConfigOf(settings),
    ...(isvProdId !== undefined && { isvProdId }),
    ...(isvSvn !== undefined && { isvSvn }),
  });
  await writeFile(output, encodeManifest(manifest));
  const trustedFiles = Object.keys(manifest.trustedFiles).length;
  return { output, trustedFiles, ...(platform === "simulated" && { mrenclave: toHex(measureSimulated(manifest)) }) };
}
