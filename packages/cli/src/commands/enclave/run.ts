import { readFile, stat } from "node:fs/promises";
import {
  checkTrustedFiles,
  decodeManifest,
  type HardwareName,
  type HostOptions,
  makeSimulatedPlatform,
  openPlatform,
  openSimulatedPlatform,
  PLATFORMS,
  type QuoteSource,
  remoteQuotes,
  type PlatformName,
  runSimulated,
  serveUntilStopped,
  SIMULATED_FILES,
} from "@cloister/enclave";
import { Command, Option } from "commander";
import { readSection } from "../../config.ts";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { need } from "../../read-document.ts";
import { DEFAULTS, ENCLAVE_SECTION, type EnclaveSettings, hostOptionsOf, INSTALLATION } from "./options.ts";

interface RunFlags extends EnclaveSettings {
  readonly config?: string;
  readonly manifest: string;
  readonly platform: PlatformName | "auto";
  readonly id?: string;
}

/** `cloister enclave run`: one replica in a process, or two where the platform is SIMULATED. */
export function runCommand(setExit: (code: number) => void): Command {
  return new Command("run")
    .description("Run a replica: be attested, take the keys, open the sealed model, serve. Logs are JSON lines.")
    .requiredOption("--manifest <file>", "what the replica is: made by enclave manifest")
    .addOption(
      new Option("--platform <name>", "the TEE around this process; simulated has to be named")
        .choices(["auto", ...PLATFORMS])
        .default("auto"),
    )
    .option("--config <file>", "configuration file (default: cloister.yaml, if there is one)")
    .option("--broker <host:port...>", `brokers, tried in order (default: ${DEFAULTS.broker})`)
    .option("--sealed <folder>", "sealed files of the model version; read only")
    .option("--listen <host:port>", `where to serve (default: ${DEFAULTS.listen})`)
    .option("--health <host:port>", `/livez, /readyz, /status, /metrics (default: ${DEFAULTS.health})`)
    .option(
      "--max-connection-age-seconds <n>",
      "connections are ended after this time, so that clients reach new replicas (default: never)",
      wholeNumber(1, 604_800),
    )
    .option("--id <name>", "name of the replica in answers and logs (default: the host's name)")
    .option("--wait-for-broker-seconds <n>", "how long to try again (default: 3600)", wholeNumber(0, 604_800))
    .option(
      "--simulated-platform <file>",
      `${SIMULATED_FILES.state} of a SIMULATED platform, or the socket of a node's quoting service`,
    )
    .option("--json", "has no effect: the output is JSON lines always")
    .action(async (flags: RunFlags) => setExit(await run(flags)));
}

async function run(flags: RunFlags): Promise<number> {
  const settings: EnclaveSettings = { ...(await readSection(flags.config, ENCLAVE_SECTION)), ...flags };
  const manifest = decodeManifest(new Uint8Array(await readFile(flags.manifest)));
  const hostOptions = hostOptionsOf(settings, flags.id);
  if (flags.platform === "simulated") {
    const platform = await quotesOf(need(settings.simulatedPlatform, "--simulated-platform"));
    await runSimulated({ platform, installation: INSTALLATION, manifest, hostOptions });
    return EXIT.done;
  }
  return await runInTee(flags.platform, manifest, hostOptions);
}

/** A platform of one's own, or the one that every replica of a node shares. */
async function quotesOf(path: string): Promise<QuoteSource> {
  const isSocket = await stat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
  return isSocket ? remoteQuotes(path) : openSimulatedPlatform(path);
}

/** Inside a guest the image is measured; that this program is the one of the manifest is looked at all the same. */
async function runInTee(
  platform: HardwareName | "auto",
  { trustedFiles, config }: ReturnType<typeof decodeManifest>,
  hostOptions: HostOptions,
): Promise<number> {
  const driver = await openPlatform(platform);
  await checkTrustedFiles(INSTALLATION, trustedFiles);
  await serveUntilStopped({ config, hostOptions, driver });
  return EXIT.done;
}

/** `cloister enclave simulate`: a SIMULATED platform that several processes share. */
export function simulateCommand(setExit: (code: number) => void): Command {
  return new Command("simulate")
    .description("Make a SIMULATED platform for replicas in processes of their own. It protects nothing.")
    .requiredOption("--output <folder>", "folder for its state, trust anchor and collateral")
    .option("--json", "print one JSON document")
    .action(async (flags: { readonly output: string; readonly json?: boolean }) => {
      await makeSimulatedPlatform(flags.output, new Date());
      const terminal = openTerminal(flags.json === true);
      terminal.line(terminal.style("yellow", "SIMULATED platform: no hardware protects what runs on it"));
      terminal.line(
        `${flags.output}/${SIMULATED_FILES.state}       for replicas (its keys: anyone with it can forge quotes)`,
      );
      terminal.line(
        `${flags.output}/${SIMULATED_FILES.anchor}         for brokers and clients that choose to trust it`,
      );
      terminal.line(`${flags.output}/${SIMULATED_FILES.collateral}    for brokers`);
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify({ simulated: true, folder: flags.output, files: SIMULATED_FILES })}\n`);
      }
      setExit(EXIT.done);
    });
}
