import { createPublicKey, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { verifyPostgresLog } from "@cloister/broker/store";
import { logOrigin, STATE_FILES } from "@cloister/broker/service";
import { fromUtf8, utf8 } from "@cloister/encoding";
import {
  encodeLogEntry,
  leafHash,
  type LogEntry,
  MerkleTree,
  ReleaseLogError,
  verifyLogProof,
  decodeLogProof,
  encodeLogProof,
} from "@cloister/release-log";
import { type VerifiedLog, verifyReleaseLogFile } from "@cloister/release-log/file";
import { Command } from "commander";
import { wholeNumber } from "../flags.ts";
import { EXIT } from "../output/exit-code.ts";
import { renderTable } from "../output/table.ts";
import { openTerminal } from "../output/terminal.ts";
import { storeOf } from "./broker/options.ts";
import { readText } from "../read-document.ts";

const COUNT = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const DEFAULT_SHOWN = 20;

interface LogFlags {
  readonly json?: boolean;
  readonly stateDir: string;
  readonly log?: string;
  readonly logKey?: string;
  readonly origin: string;
  readonly store?: string;
  readonly storePasswordFile?: string;
  readonly storeCa?: string;
}

interface LogAccess {
  readonly origin: string;
  readonly publicKey: KeyObject;
  /** Verifies the whole log, every checkpoint too where `everyCheckpoint` is set. */
  readonly verify: (options?: {
    readonly seen?: string;
    readonly everyCheckpoint?: boolean;
    readonly onEntry?: (entry: LogEntry, index: number) => void;
  }) => Promise<VerifiedLog>;
}

/** `cloister log`: the release log, for owners and auditors. It only reads: a running broker is not disturbed. */
export function logCommand(setExit: (code: number) => void): Command {
  const log = new Command("log").description("Show, verify and prove releases and refusals.");
  withLogOptions(log.command("show").description("Print the newest decisions."))
    .option("--last <n>", `how many (default: ${DEFAULT_SHOWN}; 0 for all)`, COUNT, DEFAULT_SHOWN)
    .action(async (flags: LogFlags & { last: number }) => setExit(await show(flags)));
  withLogOptions(log.command("verify").description("Check the whole log, or a proof that an enclave got."))
    .option("--seen <file>", "checkpoint of an earlier look: the log has to continue it")
    .option("--proof <file>", "check this proof against the log's key instead")
    .action(async (flags: VerifyFlags) => setExit(await check(flags)));
  withLogOptions(log.command("prove").description("Print a proof that an entry is in the log."))
    .argument("<index>", "number of the entry, from 0", COUNT)
    .action(async (index: number, flags: LogFlags) => setExit(await prove(index, flags)));
  return log;
}

function withLogOptions(command: Command): Command {
  return command
    .option("--state-dir <folder>", "the broker's state, with log and log key", "broker-state")
    .option("--log <file>", "release log (default: release.log in the state folder)")
    .option("--store <url>", "database that several brokers share, in place of the file: postgresql://user@host/db")
    .option("--store-password-file <file>", "its password, mode 0600")
    .option("--store-ca <file>", "authority of its certificate, PEM; needed unless it is on this machine")
    .option("--log-key <file>", "its public key, PEM (default: log-key.pem in the state folder)")
    .option("--origin <name>", "name of the log", logOrigin("attestation.service.com"))
    .option("--json", "print one JSON document; `show` prints one JSON object a line");
}

async function accessOf(flags: LogFlags): Promise<LogAccess> {
  const keyPath = flags.logKey ?? join(flags.stateDir, STATE_FILES.logKey);
  const expected = { origin: flags.origin, publicKey: createPublicKey(await readText(keyPath)) };
  const store = await storeOf(flags);
  if (store !== undefined) {
    const verify: LogAccess["verify"] = async (options) => ({
      ...(await verifyPostgresLog(store, { ...options, ...expected })),
      unacknowledgedBytes: 0,
    });
    return { ...expected, verify };
  }
  const path = flags.log ?? join(flags.stateDir, STATE_FILES.log);
  return { ...expected, verify: (options) => verifyReleaseLogFile(path, { ...options, ...expected }) };
}

function print(flags: LogFlags, data: object): number {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(data)}\n`);
  return EXIT.done;
}

async function show(flags: LogFlags & { last: number }): Promise<number> {
  const { verify } = await accessOf(flags);
  const newest: { index: number; entry: LogEntry }[] = [];
  await verify({
    onEntry(entry, index) {
      newest.push({ index, entry });
      if (flags.last > 0 && newest.length > flags.last) newest.shift();
    },
  });
  const columns = ["entry", "time", "decision", "workload", "key", "codes", "platform"].map((title) => ({ title }));
  const rows = newest.map(({ index, entry }) => [String(index), ...cellsOf(entry)]);
  openTerminal(flags.json === true).line(renderTable(columns, rows));
  if (flags.json === true) for (const { index, entry } of newest) print(flags, { index, ...entry });
  return EXIT.done;
}

function cellsOf({ time, decision, workload, keyId, codes, simulated, claims }: LogEntry): string[] {
  const platform = claims === null ? "" : simulated ? "SIMULATED" : "genuine";
  return [time, decision, workload ?? "", keyId ?? "", codes.join(", "), platform];
}

interface VerifyFlags extends LogFlags {
  readonly seen?: string;
  readonly proof?: string;
}

async function check(flags: VerifyFlags): Promise<number> {
  const { origin, publicKey, verify } = await accessOf(flags);
  const terminal = openTerminal(flags.json === true);
  if (flags.proof !== undefined) {
    const proof = decodeLogProof(utf8(await readText(flags.proof)));
    const { entry } = verifyLogProof(proof, { origin, publicKey });
    terminal.line(`entry ${proof.leafIndex} is in the log: ${cellsOf(entry).filter(Boolean).join(", ")}`);
    return print(flags, { ok: true, index: proof.leafIndex, entry });
  }
  const seen = flags.seen === undefined ? {} : { seen: await readText(flags.seen) };
  const log = await verify({ everyCheckpoint: true, ...seen });
  terminal.line(`${log.size} entries verify${flags.seen === undefined ? "" : ", and continue the checkpoint"}`);
  if (log.unacknowledgedBytes > 0) terminal.line(`${log.unacknowledgedBytes} bytes after them belong to no release`);
  terminal.line(log.checkpoint);
  return print(flags, { ok: true, ...log });
}

async function prove(index: number, flags: LogFlags): Promise<number> {
  const { verify } = await accessOf(flags);
  const tree = new MerkleTree();
  let leaf: Uint8Array | undefined;
  const { size, checkpoint } = await verify({
    onEntry(entry, at) {
      const bytes = encodeLogEntry(entry);
      tree.append(leafHash(bytes));
      if (at === index) leaf = bytes;
    },
  });
  if (leaf === undefined) throw noEntry();
  const proof = { leafIndex: index, entry: leaf, path: tree.inclusionPath(index, size), checkpoint };
  process.stdout.write(`${fromUtf8(encodeLogProof(proof)) ?? ""}\n`);
  return EXIT.done;
}

function noEntry(): ReleaseLogError {
  return new ReleaseLogError("LOG_RANGE", {
    what: "no proof was made",
    why: "the log has no such entry",
    remedy: "log show lists the newest ones",
  });
}
