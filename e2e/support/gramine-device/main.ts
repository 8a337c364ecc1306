// Plays Gramine's /dev/attestation for any program, by the semantics of Gramine's own sources (libos/src/fs/dev/attestation.c,
// libos_fs_pseudo.c): node main.ts FOLDER PLATFORM MRENCLAVE KEY... FOLDER is where the files appear, PLATFORM the state file of
// the SIMULATED platform that signs the quotes, MRENCLAVE a file with the measurement in hex, read for each quote, KEY the names of the
// mounts' keys. Prints a JSON line when it is ready, and one for each report data and key that is written.

import { readFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { restoreSimulatedPlatform } from "@cloister/attestation/simulated";
import { fromHex, Secret, toHex, utf8 } from "@cloister/encoding";
import { ERRNO, FileError, type PseudoNode, serveFiles } from "./fuse.ts";

const REPORT_DATA_BYTES = 64;
const TARGET_INFO_BYTES = 512;
const KEY_BYTES = 16;
/** A report is a report body with the id and the MAC of its key, which are zeros here: only the processor could make them. */
const REPORT = { at: 48, bytes: 384, withKey: 432 } as const;

const FOLDER = 0o040_555;
const READ_ONLY = 0o100_444;
const READ_WRITE = 0o100_666;

/** One for each process: a process below Gramine is an enclave of its own. */
class State {
  reportData = new Uint8Array(REPORT_DATA_BYTES);
  targetInfo = new Uint8Array(TARGET_INFO_BYTES);
  readonly keys = new Map<string, Uint8Array>();
}

const [folder = "", platformFile = "", mrenclaveFile = "", ...keyNames] = process.argv.slice(2);
const platform = restoreSimulatedPlatform(
  new Secret(new Uint8Array(await readFile(platformFile)), "simulated platform"),
);
const states = new Map<number, State>();
const tell = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

/** The kernel names the thread. Those of one process share its files. */
function stateOf(thread: number): State {
  const status = readFileSync(`/proc/${thread}/status`, "utf8");
  const id = Number(/^Tgid:\t(\d+)$/m.exec(status)?.[1]);
  const state = states.get(id) ?? new State();
  states.set(id, state);
  return state;
}

async function quote({ reportData }: State): Promise<Uint8Array> {
  const mrenclave = fromHex((await readFile(mrenclaveFile, "utf8")).trim());
  if (mrenclave === undefined) throw new FileError(ERRNO.access);
  return platform.quote({ reportData, mrenclave, mrsigner: new Uint8Array(32) });
}

/** Shorter values are padded with zeros, longer ones cut. */
function fitted(value: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(bytes);
  buffer.set(value.subarray(0, bytes));
  return buffer;
}

function setReportData(thread: number, value: Uint8Array): void {
  const state = stateOf(thread);
  state.reportData = fitted(value, REPORT_DATA_BYTES);
  tell({ event: "report-data", value: toHex(state.reportData) });
}

function setKey(thread: number, name: string, value: Uint8Array): void {
  if (value.length !== KEY_BYTES) throw new FileError(ERRNO.access);
  stateOf(thread).keys.set(name, value);
  tell({ event: "key", name, value: toHex(value) });
}

async function report(state: State): Promise<Uint8Array> {
  const body = (await quote(state)).subarray(REPORT.at, REPORT.at + REPORT.bytes);
  return fitted(body, REPORT.withKey);
}

async function ownTargetInfo(): Promise<Uint8Array> {
  return fitted(fromHex((await readFile(mrenclaveFile, "utf8")).trim()) ?? new Uint8Array(), TARGET_INFO_BYTES);
}

const ROOT = 1;
const KEYS = 2;
const nodes: readonly PseudoNode[] = [
  { name: "", parent: 0, mode: FOLDER },
  { name: "keys", parent: ROOT, mode: FOLDER },
  { name: "attestation_type", parent: ROOT, mode: READ_ONLY, load: () => Promise.resolve(utf8("dcap")) },
  { name: "user_report_data", parent: ROOT, mode: READ_WRITE, save: setReportData },
  {
    name: "target_info",
    parent: ROOT,
    mode: READ_WRITE,
    save: (thread, value) => void (stateOf(thread).targetInfo = fitted(value, TARGET_INFO_BYTES)),
  },
  { name: "my_target_info", parent: ROOT, mode: READ_ONLY, load: ownTargetInfo },
  { name: "report", parent: ROOT, mode: READ_ONLY, load: (thread) => report(stateOf(thread)) },
  { name: "quote", parent: ROOT, mode: READ_ONLY, load: (thread) => quote(stateOf(thread)) },
  ...keyNames.map((name): PseudoNode => ({
    name,
    parent: KEYS,
    mode: READ_WRITE,
    load: (thread) => Promise.resolve(stateOf(thread).keys.get(name) ?? new Uint8Array()),
    save: (thread, value) => setKey(thread, name, value),
  })),
];

await serveFiles(folder, nodes, () => tell({ event: "ready" }));
