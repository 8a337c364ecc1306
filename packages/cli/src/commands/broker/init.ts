import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeSecretFile } from "@cloister/broker";
import { makeIdentity, STATE_FILES } from "@cloister/broker/service";
import { utf8 } from "@cloister/encoding";
import { Command } from "commander";
import { readSection } from "../../config.ts";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { examplePolicy } from "./example-policy.ts";
import {
  BROKER_SECTION,
  type BrokerSettings,
  identityOptions,
  isThere,
  keysPathOf,
  stateDirOf,
  withKeyOptions,
} from "./options.ts";

const PASSPHRASE_BYTES = 32;

interface InitFlags extends BrokerSettings {
  readonly config?: string;
  readonly json?: boolean;
}

/** `cloister broker init`: everything that a broker has before it knows any enclave. */
export function initCommand(setExit: (code: number) => void): Command {
  const init = new Command("init").description(
    "Make the authority, the key store and a policy that allows nothing yet, before the first start. What is there stays.",
  );
  return withKeyOptions(init)
    .option("--policy <file>", "policy to make, JSON or YAML by its name (default: policy.yaml)")
    .option("--simulated-anchor <file>", "the policy is for a SIMULATED platform, not for production")
    .option("--json", "print one JSON document")
    .action(async (_flags: unknown, command: Command) => setExit(await makeBroker(command.optsWithGlobals())));
}

async function makeBroker({ config, json = false, ...given }: InitFlags): Promise<number> {
  const settings = { ...(await readSection(config, BROKER_SECTION)), ...given };
  const stateDir = stateDirOf(settings);
  const keysPath = await keysPathOf(settings);
  const paths = {
    ...(settings.passphraseFile !== undefined && { passphrase: settings.passphraseFile }),
    ...(keysPath !== undefined && { keys: keysPath }),
    authority: join(stateDir, STATE_FILES.authority),
    logKey: join(stateDir, STATE_FILES.logKey),
    policy: resolve(settings.policy ?? "policy.yaml"),
  };
  const missing = new Set<string>();
  for (const path of Object.values(paths)) if (!(await isThere(path))) missing.add(path);
  const { passphrase, keys, authority, logKey, policy } = paths;
  // A new passphrase opens nothing that is there already: a mistyped path must not make one.
  if (passphrase !== undefined && keys !== undefined && missing.has(passphrase) && missing.has(keys)) {
    await writeSecretFile(passphrase, utf8(`${randomBytes(PASSPHRASE_BYTES).toString("base64")}\n`));
  }
  await makeIdentity(await identityOptions(settings));
  if (missing.has(policy)) {
    const isProduction = settings.simulatedAnchor === undefined;
    await writeFile(policy, examplePolicy({ isProduction, isJson: policy.endsWith(".json") }), { flag: "wx" });
  }
  const terminal = openTerminal(json);
  const files = Object.values(paths).map((file) => ({ file, made: missing.has(file) }));
  for (const { file, made } of files) terminal.line(`${made ? "made" : "kept"} ${file}`);
  terminal.line(`\nEnclaves have to trust ${authority}; auditors need ${logKey}.`);
  if (missing.has(policy)) {
    terminal.line(`The policy allows nothing yet: cloister enclave measure --policy ${policy} adds an enclave.`);
  }
  if (json) process.stdout.write(`${JSON.stringify({ stateDir, authority, logKey, policy, files })}\n`);
  return EXIT.done;
}
