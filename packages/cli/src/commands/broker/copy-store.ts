import { copyStore, logOrigin } from "@cloister/broker/service";
import { readStoreSettings } from "@cloister/broker/store";
import { Command } from "commander";
import { readSection } from "../../config.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { BROKER_SECTION, type BrokerSettings, DEFAULT_NAME, identityOptions, withKeyOptions } from "./options.ts";

interface CopyFlags extends BrokerSettings {
  readonly config?: string;
  readonly json?: boolean;
  readonly to: string;
  readonly toPasswordFile?: string;
  readonly toCa?: string;
}

/** `cloister broker copy-store`: from files to a database, from one machine to several. */
export function copyStoreCommand(setExit: (code: number) => void): Command {
  const copy = new Command("copy-store").description(
    "Copy keys and release log of a stopped broker to an empty store, and verify the copy. What is there stays.",
  );
  return withKeyOptions(copy)
    .requiredOption("--to <url>", "sqlite:FILE, or postgresql://user@host/db")
    .option("--to-password-file <file>", "its password, mode 0600")
    .option("--to-ca <file>", "authority of its certificate, PEM; needed unless it is on this machine")
    .option("--log <file>", "log in a file of its own")
    .option("--name <dns...>", `names of the broker; the first also names the log (default: ${DEFAULT_NAME})`)
    .option("--json", "print one JSON document")
    .action(async (_flags: unknown, command: Command) => setExit(await run(command.optsWithGlobals())));
}

async function run({ config, json = false, to, toPasswordFile, toCa, ...given }: CopyFlags): Promise<number> {
  const settings = { ...(await readSection(config, BROKER_SECTION)), ...given };
  const { entries } = await copyStore({
    ...(await identityOptions(settings)),
    ...(settings.log !== undefined && { logFile: settings.log }),
    origin: logOrigin(settings.name?.[0] ?? DEFAULT_NAME),
    to: await readStoreSettings({ url: to, passwordFile: toPasswordFile, caFile: toCa }),
  });
  openTerminal(json).line(`copied the keys and ${entries} entries of the log to ${to}; the copy verifies`);
  if (json) process.stdout.write(`${JSON.stringify({ to, entries })}\n`);
  return EXIT.done;
}
