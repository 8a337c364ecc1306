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
import { Command } from "commander";
import { wholeNumber } from "../flags.ts";
import { EXIT } from "../output/exit-code.ts";
import { renderTable } from "../output/table.ts";
import { openTerminal } from "../output/terminal.ts";
import { type LogFlags, openLogAccess, withLogOptions } from "./log-access.ts";
import { readText } from "../read-document.ts";

const COUNT = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const DEFAULT_SHOWN = 20;

/** `cloister log`: the release log, for owners and auditors. It only reads: a running broker is not disturbed. */
export function logCommand(setExit: (code: number) => void): Command {
  const log = new Command("log").description("Show, verify and prove releases and refusals.");
  withLogOptions(log.command("show").description("Print the newest decisions."))
    .option("--last <n>", `how many (default: ${DEFAULT_SHOWN}; 0 for all)`, COUNT, DEFAULT_SHOWN)
    .action(async (flags: LogFlags & { last: number }) => setExit(await show(flags)));
  withLogOptions(log.command("verify").description("Check the whole log, or a proof that an enclave got."))
    .option("--every-checkpoint", "check the signature of each checkpoint, not of the newest alone; 0.1 ms each")
    .option("--seen <file>", "checkpoint of an earlier look: the log has to continue it")
    .option("--proof <file>", "check this proof against the log's key instead")
    .action(async (flags: VerifyFlags) => setExit(await check(flags)));
  withLogOptions(log.command("prove").description("Print a proof that an entry is in the log."))
    .argument("<index>", "number of the entry, from 0", COUNT)
    .action(async (index: number, flags: LogFlags) => setExit(await prove(index, flags)));
  return log;
}

function print(flags: LogFlags, data: object): number {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(data)}\n`);
  return EXIT.done;
}

async function show(flags: LogFlags & { last: number }): Promise<number> {
  const { verify } = await openLogAccess(flags);
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
  readonly everyCheckpoint?: boolean;
}

async function check(flags: VerifyFlags): Promise<number> {
  const { origin, publicKey, verify } = await openLogAccess(flags);
  const terminal = openTerminal(flags.json === true);
  if (flags.proof !== undefined) {
    const proof = decodeLogProof(utf8(await readText(flags.proof)));
    const { entry } = verifyLogProof(proof, { origin, publicKey });
    terminal.line(`entry ${proof.leafIndex} is in the log: ${cellsOf(entry).filter(Boolean).join(", ")}`);
    return print(flags, { ok: true, index: proof.leafIndex, entry });
  }
  const seen = flags.seen === undefined ? {} : { seen: await readText(flags.seen) };
  const log = await verify({ everyCheckpoint: flags.everyCheckpoint ?? false, ...seen });
  terminal.line(`${log.size} entries verify${flags.seen === undefined ? "" : ", and continue the checkpoint"}`);
  if (log.unacknowledgedBytes > 0) terminal.line(`${log.unacknowledgedBytes} bytes after them belong to no release`);
  terminal.line(log.checkpoint);
  return print(flags, { ok: true, ...log });
}

async function prove(index: number, flags: LogFlags): Promise<number> {
  const { verify } = await openLogAccess(flags);
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
