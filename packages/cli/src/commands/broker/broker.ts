import { once } from "node:events";
import { type BrokerService, startBrokerService } from "@cloister/broker/service";
import { Command } from "commander";
import { readSection } from "../../config.ts";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { copyStoreCommand } from "./copy-store.ts";
import { initCommand } from "./init.ts";
import { keysCommand } from "./keys.ts";
import { BROKER_SECTION, type BrokerSettings, serviceOptions, withKeyOptions, withServiceOptions } from "./options.ts";

interface BrokerFlags extends BrokerSettings {
  readonly config?: string;
  readonly graceSeconds: number;
}

/** `cloister broker`: the secret provisioning service, and its keys. */
export function brokerCommand(setExit: (code: number) => void): Command {
  const broker = new Command("broker").description(
    "Run the secret provisioning service: enclaves that the policy names get their keys. Logs are JSON lines.",
  );
  withServiceOptions(withKeyOptions(broker))
    .option("--grace-seconds <n>", "how long a stop waits for open connections", wholeNumber(0, 600), 10)
    .option("--json", "has no effect: the output is JSON lines always")
    .action(async (flags: BrokerFlags) => setExit(await serve(flags)));
  return broker.addCommand(initCommand(setExit)).addCommand(keysCommand(setExit)).addCommand(copyStoreCommand(setExit));
}

/** One JSON object a line. Events hold no secret. */
function writeLine(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function serve(flags: BrokerFlags): Promise<number> {
  const { config, graceSeconds, ...given } = flags;
  const options = await serviceOptions({ ...(await readSection(config, BROKER_SECTION)), ...given });
  const service = await startBrokerService({ ...options, onEvent: writeLine });
  const time = (): string => new Date().toISOString();
  const simulated = options.anchors.some(({ kind }) => kind === "simulated");
  const { address, health = null } = service;
  // Whoever reads that it has started may stop it.
  const stopped = stopSignal();
  writeLine({ type: "started", time: time(), address, health, ...(simulated && { trusts: "SIMULATED" }) });
  const onHangUp = (): void => void service.reloadPolicy();
  process.on("SIGHUP", onHangUp);
  const signal = await stopped;
  process.off("SIGHUP", onHangUp);
  writeLine({ type: "stopping", time: time(), signal });
  await stop(service, graceSeconds);
  writeLine({ type: "stopped", time: time() });
  return EXIT.done;
}

async function stopSignal(): Promise<string> {
  const done = new AbortController();
  const wait = (signal: NodeJS.Signals): Promise<string> => once(process, signal, done).then(() => signal);
  try {
    return await Promise.race([wait("SIGTERM"), wait("SIGINT")]);
  } finally {
    done.abort();
  }
}

/** A second signal does not wait for connections. */
async function stop(service: BrokerService, graceSeconds: number): Promise<void> {
  await service.close(graceSeconds * 1000);
}
