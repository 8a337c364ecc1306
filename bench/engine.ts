import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findLibrary } from "@cloister/model-server/engine";
import { generateResNet50 } from "@cloister/saved-model";
import { LineProcess } from "./clients/line-process.ts";
import type { BenchRow } from "./row.ts";

// Our engine beside real TensorFlow, on the same models, with the same threads, each in a process of its own, in turns: by its C
// library out of Node where that is found (docs/explanation/engines.md), and in Python where CLOISTER_ORACLE_PYTHON names one with
// TensorFlow, which also makes the models other than ResNet-50. Without either, ours runs alone.

const ROUNDS = Number(process.env["CLOISTER_BENCH_ROUNDS"] ?? 5);
const THREADS = availableParallelism();
const PYTHON = process.env["CLOISTER_ORACLE_PYTHON"];
const CLIENTS = join(import.meta.dirname, "clients");

interface Case {
  readonly name: string;
  readonly folder: string;
  readonly batches: readonly number[];
  /** Batches in a round, about a second of work. */
  readonly count: number;
}

const CASES: readonly Case[] = [
  { name: "ResNet-50 v1.5", folder: "resnet50", batches: [1, 8], count: 8 },
  { name: "MobileNetV2", folder: "mobilenet_v2", batches: [1, 8], count: 24 },
  { name: "BERT, 4 layers", folder: "bert", batches: [1, 8], count: 8 },
];

interface LoadTimes {
  readonly loadMs: number;
  readonly firstAnswerMs: number;
}

interface Measured {
  readonly ms: number;
  readonly cpuMs: number;
  readonly residentMiB: number;
}

export async function run(): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "bench-engine-"));
  try {
    await mkdir(join(folder, "resnet50"));
    await writeFile(join(folder, "resnet50/frozen.pb"), generateResNet50({ imageSize: 224, widthDivisor: 1, seed: 7 }));
    if (PYTHON) await promisify(execFile)(PYTHON, [join(CLIENTS, "engine_tensorflow.py"), "export", folder]);
    const rows: BenchRow[] = [];
    for (const each of PYTHON ? CASES : CASES.slice(0, 1)) rows.push(...(await measure(folder, each)));
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(folder: string, { name, folder: own, batches, count }: Case): Promise<BenchRow[]> {
  const path = (file: string): string => join(folder, own, file);
  const node = (engine: string, file: string): string[] => [
    join(CLIENTS, "engine.ts"),
    engine,
    path(file),
    String(THREADS),
  ];
  const ours = await Runner.start("ours", process.execPath, node("onnx", "frozen.pb"));
  const peers: Runner[] = [];
  const python = join(CLIENTS, "engine_tensorflow.py");
  const library = await findLibrary();
  for (const [kind, file] of [
    ["frozen", "frozen.pb"],
    ["variables", "saved_model"],
  ] as const) {
    // Python writes the SavedModels with variables.
    if (library !== undefined && (PYTHON || file === "frozen.pb")) {
      peers.push(await Runner.start(`TensorFlow by FFI, ${kind}`, process.execPath, node("tensorflow", file)));
    }
    if (PYTHON) {
      const args = [python, "run", path(file), String(THREADS)];
      peers.push(await Runner.start(`TensorFlow in Python, ${kind}`, PYTHON, args));
    }
  }
  const runners = [ours, ...peers];
  try {
    const rows: BenchRow[] = [];
    for (const batch of batches) {
      const of = await inTurns(runners, batch, Math.max(1, Math.round(count / Math.sqrt(batch))));
      const perSecond = (runner: Runner): number => (1000 * batch) / (of.get(runner)?.ms ?? Number.NaN);
      const cpu = (runner: Runner): number => (of.get(runner)?.cpuMs ?? Number.NaN) / batch;
      rows.push(...compare(`${name}, batch ${batch}`, "item/s", ours, peers, perSecond, true));
      rows.push(...compare(`${name}, batch ${batch}, CPU`, "ms/item", ours, peers, cpu, false));
    }
    const resident = (runner: Runner): number => runner.residentMiB;
    const cached = await ours.ask<LoadTimes>({ isLoad: true });
    for (const [graph, own] of [
      ["", ours.load],
      [", cached graph", cached],
    ] as const) {
      const of = (runner: Runner): LoadTimes => (runner === ours ? own : runner.load);
      const row = (part: string, ms: (times: LoadTimes) => number): BenchRow[] =>
        compare(`${name}, ${part}${graph}`, "ms", ours, peers, (runner) => ms(of(runner)), false);
      rows.push(...row("load", ({ loadMs }) => loadMs));
      // TensorFlow leaves part of the work to the first request.
      rows.push(...row("load and first answer", ({ loadMs, firstAnswerMs }) => loadMs + firstAnswerMs));
    }
    rows.push(...compare(`${name}, resident`, "MiB", ours, peers, resident, false));
    return rows;
  } finally {
    for (const runner of runners) await runner.stop();
  }
}

function compare(
  name: string,
  unit: string,
  own: Runner,
  peers: readonly Runner[],
  value: (runner: Runner) => number,
  isMoreBetter: boolean,
): BenchRow[] {
  const ours = value(own);
  const row = (peer: number, peerName: string): BenchRow => ({
    case: name,
    unit,
    ours,
    peer,
    peerName,
    ratio: isMoreBetter ? ours / peer : peer / ours,
  });
  if (peers.length === 0) return [row(ours, "ours alone (no TensorFlow here)")];
  return peers.map((peer) => row(value(peer), peer.label));
}

/** Medians of all runners, which take turns. */
async function inTurns(
  runners: readonly Runner[],
  batch: number,
  count: number,
): Promise<ReadonlyMap<Runner, Measured>> {
  const rounds = new Map(runners.map((runner): [Runner, Measured[]] => [runner, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [runner, results] of rounds) results.push(await runner.ask<Measured>({ batch, count }));
  }
  return new Map([...rounds].map(([runner, results]) => [runner, medianOf(runner, results)]));
}

function medianOf(runner: Runner, results: readonly Measured[]): Measured {
  const median = (of: (result: Measured) => number): number =>
    results.map(of).toSorted((a, b) => a - b)[Math.floor(results.length / 2)] ?? Number.NaN;
  runner.residentMiB = Math.max(runner.residentMiB, ...results.map(({ residentMiB }) => residentMiB));
  return { ms: median(({ ms }) => ms), cpuMs: median(({ cpuMs }) => cpuMs), residentMiB: runner.residentMiB };
}

/** An engine in a process of its own. */
class Runner {
  readonly label: string;
  readonly #process: LineProcess;
  load: LoadTimes = { loadMs: Number.NaN, firstAnswerMs: Number.NaN };
  residentMiB = 0;

  private constructor(label: string, process: LineProcess) {
    this.label = label;
    this.#process = process;
  }

  static async start(label: string, command: string, args: readonly string[]): Promise<Runner> {
    const runner = new Runner(label, new LineProcess(label, command, args));
    runner.load = await runner.#process.next<LoadTimes>();
    return runner;
  }

  ask<T>(request: unknown): Promise<T> {
    return this.#process.ask<T>(request);
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
