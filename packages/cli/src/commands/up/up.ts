import { once } from "node:events";
import { type Chain, type ChainReport, startChain } from "@cloister/deploy";
import { Command, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";
import { showAttacks, showBanner, showInference, showKept, showVerdict, stepPrinter } from "./output.ts";
import { wholeNumber } from "../../flags.ts";
import { type UpFlags, type UpSettings, upSettings } from "./options.ts";

const PORT = wholeNumber(0, 65_535);

/** `cloister up`: the main job, the whole chain on this machine. */
export function upCommand(setExit: (code: number) => void): Command {
  return new Command("up")
    .description("Run the whole chain on this machine in SIMULATED TEEs: import, seal, attest, release, serve, infer.")
    .option("--model <path>", "SavedModel folder or frozen GraphDef (.pb); default: examples/digits")
    .option("--name <name>", "name to serve the model under; default: from the path")
    .option("--model-version <n>", "version to serve it as (default: 1)", wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option("--replicas <n>", "serving replicas (default: 2)", wholeNumber(1, 64))
    .addOption(new Option("--tls <mode>", "who shows a certificate (default: mutual)").choices(["one-way", "mutual"]))
    .option("--port <n>", "port of the gateway, 0 for any free one (default: 8500)", PORT)
    .option("--broker-port <n>", "port of the broker, 0 for any free one (default: 4433)", PORT)
    .addOption(new Option("--gateway <kind>", "default: auto").choices(["auto", "nginx", "built-in"]))
    .option("--requests <n>", "inference requests to send (default: 1000)", wholeNumber(1, 10_000_000))
    .option("--concurrency <n>", "requests in flight (default: 8)", wholeNumber(1, 1024))
    .option("--threads <n>", "engine threads of a replica (default: cores / replicas)", wholeNumber(1, 256))
    .option("--models-dir <folder>", "where the owner's models are imported to (default: models)")
    .option("--work-dir <folder>", "folders of owner, host and requester (default: .cloister)")
    .option("--config <file>", "configuration file (default: cloister.yaml, if there is one)")
    .option("--attacks", "then attack the chain and show what refuses each attempt")
    .option("--keep", "stay up until Ctrl-C")
    .option("--json", "print one JSON report")
    .action(async (flags: UpFlags) => setExit(await up(flags)));
}

async function up(flags: UpFlags): Promise<number> {
  const settings = await upSettings(flags);
  const terminal = openTerminal(flags.json === true);
  const interrupt = new Interrupt();
  showBanner(terminal);
  const startedAt = performance.now();
  try {
    const chain = await startChain(settings.chain, stepPrinter(terminal), interrupt.signal);
    const report = await useAndClose(chain, { settings, flags, terminal, interrupt });
    showVerdict(terminal, report, performance.now() - startedAt);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
    return report.ok ? EXIT.done : EXIT.refused;
  } finally {
    interrupt.forget();
  }
}

async function useAndClose(chain: Chain, session: Session): Promise<ChainReport> {
  try {
    return await useChain(chain, session);
  } finally {
    await chain.close();
  }
}

interface Session {
  readonly settings: UpSettings;
  readonly flags: UpFlags;
  readonly terminal: Terminal;
  readonly interrupt: Interrupt;
}

async function useChain(chain: Chain, { settings, flags, terminal, interrupt }: Session): Promise<ChainReport> {
  const inference = await chain.infer({ requests: settings.requests, concurrency: settings.concurrency });
  showInference(terminal, inference);
  const attacks = flags.attacks === true ? await chain.attack() : [];
  if (attacks.length > 0) showAttacks(terminal, attacks);
  if (flags.keep === true) {
    showKept(terminal, chain, settings);
    await interrupt.wait();
  }
  return chain.report(inference.report, attacks);
}

/** Turns Ctrl-C and SIGTERM into one orderly end. A second one ends the process at once. */
class Interrupt {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly #handle = (): void => {
    if (this.signal.aborted) process.exit(EXIT.refused);
    this.#controller.abort();
  };

  constructor() {
    process.on("SIGINT", this.#handle).on("SIGTERM", this.#handle);
  }

  /** Resolves when it comes. */
  async wait(): Promise<void> {
    if (this.signal.aborted) return;
    // A pending promise alone does not keep the process up.
    const alive = setInterval(() => undefined, 1 << 30);
    await once(this.signal, "abort");
    clearInterval(alive);
  }

  forget(): void {
    process.off("SIGINT", this.#handle).off("SIGTERM", this.#handle);
  }
}
