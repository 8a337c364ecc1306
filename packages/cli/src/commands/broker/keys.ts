import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  BrokerError,
  type KeyListing,
  type KeyProtection,
  KeyStore,
  readSecretFile,
  writeSecretFile,
} from "@cloister/broker";
import { STATE_FILES } from "@cloister/broker/service";
import { openStore, type StoreSettings, type BrokerStore } from "@cloister/broker/store";
import { Secret } from "@cloister/encoding";
import { Command } from "commander";
import { readSection } from "../../config.ts";
import { wholeNumber } from "../../flags.ts";
import { EXIT } from "../../output/exit-code.ts";
import { renderTable } from "../../output/table.ts";
import { openTerminal } from "../../output/terminal.ts";
import {
  BROKER_SECTION,
  type BrokerSettings,
  isThere,
  keysPathOf,
  protectionOf,
  stateDirOf,
  storeOf,
  withKeyOptions,
} from "./options.ts";

const DEFAULT_OVERLAP_HOURS = 24;
const MAX_OVERLAP_HOURS = 87_600;

interface KeysFlags extends BrokerSettings {
  readonly config?: string;
  readonly json?: boolean;
}

interface ActionFlags {
  readonly from: string;
  readonly output: string;
  readonly overlapHours: number;
}

interface Result {
  /** For people, where it is more than a line made of `data`. */
  readonly text: string;
  readonly data: object;
}

/** `cloister broker keys`: what the broker may release. Keys themselves are never printed. */
export function keysCommand(setExit: (code: number) => void): Command {
  const keys = new Command("keys").description("List, create, import, export, rotate and revoke keys.");
  const add = (name: string, description: string): Command =>
    withKeyOptions(keys.command(name).description(description)).option("--json", "print one JSON document");
  const run =
    (work: (store: KeyStore, id: string, flags: ActionFlags) => Promise<Result>, { makes = false } = {}) =>
    async (...args: unknown[]): Promise<void> => {
      // Commander hands over the arguments, the options and last the command, which knows both.
      const command = args.at(-1) as Command;
      const flags = command.optsWithGlobals<KeysFlags & ActionFlags>();
      const { keys, shared } = await openKeys(flags, makes);
      const { text, data } = await work(keys, command.args[0] ?? "", flags).finally(() => void shared?.close());
      openTerminal(flags.json === true).line(text);
      if (flags.json === true) process.stdout.write(`${JSON.stringify(data)}\n`);
      setExit(EXIT.done);
    };
  add("list", "Ids, versions and states.").action(run(list));
  add("create", "Make a random wrap key of 16 bytes.")
    .argument("<id>", "for example models/resnet50-v15-fp32/1")
    .action(run(create, { makes: true }));
  add("import", "Take a wrap key of 16 bytes, or a text, from a file with mode 0600.")
    .argument("<id>")
    .requiredOption("--from <file>", "file with the secret")
    .action(run(importKey, { makes: true }));
  add("export", "Write a wrap key to a new file with mode 0600, to seal a model with.")
    .argument("<id>", "or <id>@<version>")
    .requiredOption("--output <file>", "file to make; one that is there is not touched")
    .action(run(exportKey));
  add("rotate", "Make the next version; the one before stays valid beside it for a while.")
    .argument("<id>")
    .option("--overlap-hours <n>", "how long", wholeNumber(0, MAX_OVERLAP_HOURS), DEFAULT_OVERLAP_HOURS)
    .action(run(rotate));
  add("revoke", "Never release it again: all versions, or <id>@<version>.")
    .argument("<id>", "or <id>@<version>")
    .action(run(revoke));
  return keys;
}

interface OpenKeys {
  readonly keys: KeyStore;
  /** Holds connections until it is closed. */
  readonly shared?: BrokerStore;
}

/** `makes`: a store that is not there is made. What only looks at keys or changes them would make one for a mistyped path. */
async function openKeys({ config, ...given }: KeysFlags, makes: boolean): Promise<OpenKeys> {
  const settings = { ...(await readSection(config, BROKER_SECTION)), ...given };
  const path = await keysPathOf(settings);
  if (!makes && path !== undefined && !(await isThere(path))) throw missing(path);
  const protection = await protectionOf(settings);
  if (settings.keys !== undefined) return { keys: await KeyStore.open({ path: settings.keys, protection }) };
  await mkdir(stateDirOf(settings), { recursive: true, mode: 0o700 });
  const database = await storeOf(settings);
  if (database !== undefined) return openStoredKeys(database, protection);
  return { keys: await KeyStore.open({ path: join(stateDirOf(settings), STATE_FILES.keys), protection }) };
}

function missing(path: string): BrokerError {
  return new BrokerError("KEY_STORE_MISSING", {
    what: "no keys were looked at",
    why: `there is no key store at ${path}`,
    remedy: "give the --state-dir, --keys or --store of the broker; keys create and broker init make one",
  });
}

async function openStoredKeys(database: StoreSettings, protection: KeyProtection): Promise<OpenKeys> {
  const shared = await openStore(database);
  try {
    return { keys: await KeyStore.open({ storage: shared.keyStorage, protection }), shared };
  } catch (error) {
    await shared.close();
    throw error;
  }
}

async function list(store: KeyStore): Promise<Result> {
  const keys = await store.list();
  const columns = ["id", "version", "state", "since"].map((title) => ({ title }));
  const rows = keys.map((key) => [key.id, String(key.version), ...stateOf(key)]);
  return { text: renderTable(columns, rows), data: { keys } };
}

function stateOf({ createdAt, retiresAt, revokedAt }: KeyListing): [string, string] {
  if (revokedAt !== null) return ["revoked", revokedAt];
  if (retiresAt === null) return ["current", createdAt];
  return [new Date(retiresAt) > new Date() ? "valid until" : "retired", retiresAt];
}

async function create(store: KeyStore, id: string): Promise<Result> {
  await store.generate(id);
  return { text: `made ${id}@1`, data: { id, version: 1 } };
}

async function importKey(store: KeyStore, id: string, { from }: ActionFlags): Promise<Result> {
  await store.import(id, new Secret(await readSecretFile(from), "imported key"));
  return { text: `took ${id}@1 from ${from}`, data: { id, version: 1 } };
}

async function exportKey(store: KeyStore, id: string, { output }: ActionFlags): Promise<Result> {
  const secret = await store.secret(id);
  try {
    await writeSecretFile(output, secret.reveal());
  } finally {
    secret.wipe();
  }
  return { text: `wrote ${id} to ${output}, mode 0600`, data: { id, output } };
}

async function rotate(store: KeyStore, id: string, { overlapHours }: ActionFlags): Promise<Result> {
  const version = await store.rotate(id, overlapHours * 3600);
  const text = `made ${id}@${version}; the version before stays valid for ${overlapHours} h`;
  return { text, data: { id, version, overlapHours } };
}

async function revoke(store: KeyStore, id: string): Promise<Result> {
  await store.revoke(id);
  return { text: `revoked ${id}`, data: { id, revoked: true } };
}
