import { createCipheriv, randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { cpuUsage, env, execPath } from "node:process";
import { fileURLToPath } from "node:url";
import { Secret } from "@cloister/encoding";
import { openFileTo, sealFileTo, WorkerPool, writeKeyFile } from "@cloister/protected-files/rim";
import { cipherRows, median } from "./protected-files.ciphers.ts";
import type { BenchRow } from "./row.ts";

// Sealing and opening from file to file, beside one AES-128-GCM stream over the same bytes: what the cipher alone would take.
// All contestants take turns in every round, and each row is the median, so that a busy machine slows them alike.

export interface ProtectedFilesBenchOptions {
  /** Default: the variable BENCH_SIZES_MIB (such as "256,2048"), else 256 and 2048. */
  readonly sizesMiB?: readonly number[];
  /** Default 5, and 3 for sizes of a GiB and more. */
  readonly rounds?: number;
  /** Path of a stock gramine-sgx-pf-crypt to run beside; default: the variable PF_CRYPT_STOCK, else none. */
  readonly stockTool?: string;
}

const MIB = 2 ** 20;
const CHUNK_BYTES = MIB;
const STREAM = "AES-128-GCM stream";
const STOCK = "gramine-sgx-pf-crypt";
/**
 * MiB/s of the stock tool as recorded once: 256 MiB in a memory file system on a quiet AMD EPYC, where an AES-128-GCM stream in
 * memory does about 1,400. It says where the tool stands on that machine; `stockTool` says it for this one.
 */
const STOCK_RECORDED = { seal: 210, open: 215 };
const MEMORY_BUDGET_MIB = 100;
/** Plaintext, sealed file, output and its temporary file. */
const FILES_AT_A_TIME = 4;

interface Files {
  readonly plain: string;
  readonly sealed: string;
  readonly out: string;
  readonly key: string;
}

/** Median of a contestant's rounds. Processor time tells more than the clock where others use the machine too. */
interface Speed {
  readonly mibPerSecond: number;
  /** Processor seconds for a GiB, all threads; NaN for other processes. */
  readonly cpuSecondsPerGib: number;
}

type Contestants = Readonly<Record<string, () => Promise<unknown>>>;

function sizesFromEnvironment(): number[] {
  return (env["BENCH_SIZES_MIB"] ?? "256,2048").split(",").map(Number);
}

/**
 * Rows `seal` and `open` in MiB/s for one and two threads, the private memory of a process that does it, and the cipher of nodes
 * beside `node:crypto`'s.
 */
export async function run(options: ProtectedFilesBenchOptions = {}): Promise<BenchRow[]> {
  const { sizesMiB = sizesFromEnvironment(), stockTool = env["PF_CRYPT_STOCK"] } = options;
  const directory = mkdtempSync(join(fileSystemFor(Math.max(...sizesMiB)), "bench-"));
  const pool = new WorkerPool(2);
  try {
    const rows: BenchRow[] = [];
    for (const sizeMiB of sizesMiB) {
      const { rounds = sizeMiB < 1024 ? 5 : 3 } = options;
      rows.push(...(await measureSize(directory, pool, sizeMiB, rounds, stockTool)));
    }
    return [...rows, ...(await cipherRows(directory))];
  } finally {
    await pool.close();
    rmSync(directory, { recursive: true });
  }
}

/** Memory where it has room, so that no disk is measured. */
function fileSystemFor(sizeMiB: number): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > FILES_AT_A_TIME * sizeMiB * MIB ? memory : tmpdir();
}

async function measureSize(
  directory: string,
  pool: WorkerPool,
  sizeMiB: number,
  rounds: number,
  stockTool: string | undefined,
): Promise<BenchRow[]> {
  const at = (name: string): string => join(directory, name);
  const files = { plain: at("plain"), sealed: at("sealed"), out: at("out"), key: at("key") };
  const wrapKey = new Secret(randomBytes(16), "wrap key");
  await writeKeyFile(files.key, wrapKey, { overwrite: true });
  fillWithRandom(files.plain, sizeMiB);
  const options = { wrapKey, boundPath: "models/bench/1/model", overwrite: true };
  await sealFileTo(files.plain, files.sealed, options);
  const contestants: Contestants = {
    [STREAM]: async () => Promise.resolve(encryptStream(files)),
    "seal, 1 worker": () => sealFileTo(files.plain, files.out, options),
    "seal, 2 workers": () => sealFileTo(files.plain, files.out, { ...options, pool }),
    "open, 1 worker": () => openFileTo(files.sealed, files.out, options),
    "open, 2 workers": () => openFileTo(files.sealed, files.out, { ...options, pool }),
    ...(stockTool !== undefined && stockContestants(stockTool, files)),
  };
  const speeds = await takeTurns(contestants, sizeMiB, rounds);
  const rows = Object.keys(speeds)
    .filter((name) => name.startsWith("seal") || name.startsWith("open"))
    .flatMap((name) => rowsFor(name, sizeMiB, speeds));
  const memory = (["seal", "open"] as const).flatMap((job) =>
    [1, 2].map((count) => memoryRow(job, files, sizeMiB, count)),
  );
  return [...rows, ...memory];
}

function rowsFor(name: string, sizeMiB: number, speeds: Readonly<Record<string, Speed>>): BenchRow[] {
  const ours = speeds[name];
  const [job, mode] = name.startsWith("seal") ? (["seal", "encrypt"] as const) : (["open", "decrypt"] as const);
  const peers: readonly (readonly [string, number | undefined])[] = [
    [STREAM, speeds[STREAM]?.mibPerSecond],
    [`${STOCK} ${mode}`, speeds[`${STOCK} ${mode}`]?.mibPerSecond],
    [`${STOCK}, recorded`, STOCK_RECORDED[job]],
  ];
  const rows = peers.flatMap(([peerName, peer]): BenchRow[] => {
    if (ours === undefined || peer === undefined) return [];
    const speed = { ours: ours.mibPerSecond, peer, ratio: ours.mibPerSecond / peer };
    return [{ case: `${name}, ${sizeMiB} MiB`, unit: "MiB/s", ...speed, peerName }];
  });
  const [own, stream] = [ours?.cpuSecondsPerGib ?? Number.NaN, speeds[STREAM]?.cpuSecondsPerGib ?? Number.NaN];
  const processor = { ours: own, peer: stream, peerName: STREAM, ratio: stream / own };
  return [...rows, { case: `${name}, ${sizeMiB} MiB, processor`, unit: "s/GiB", ...processor }];
}

/** Most private memory of a process that does nothing but this job. */
function memoryRow(job: "seal" | "open", files: Files, sizeMiB: number, workers: number): BenchRow {
  const child = fileURLToPath(new URL("./protected-files.memory.ts", import.meta.url));
  const input = job === "seal" ? files.plain : files.sealed;
  const text = execFileSync(execPath, [child, job, String(workers), files.key, input, files.out], { encoding: "utf8" });
  const ours = Number(text);
  const name = `memory, ${job}, ${workers} worker${workers === 1 ? "" : "s"}, ${sizeMiB} MiB`;
  return {
    case: name,
    unit: "MiB",
    ours,
    peer: MEMORY_BUDGET_MIB,
    peerName: "budget",
    ratio: MEMORY_BUDGET_MIB / ours,
  };
}

async function takeTurns(contestants: Contestants, sizeMiB: number, rounds: number): Promise<Record<string, Speed>> {
  const taken: Record<string, { seconds: number[]; cpuSeconds: number[] }> = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, work] of Object.entries(contestants)) {
      const [start, before] = [performance.now(), cpuUsage()];
      await work();
      const { user, system } = cpuUsage(before);
      const { seconds, cpuSeconds } = (taken[name] ??= { seconds: [], cpuSeconds: [] });
      seconds.push((performance.now() - start) / 1000);
      cpuSeconds.push(name.startsWith(STOCK) ? Number.NaN : (user + system) / 1e6);
    }
  }
  const gib = sizeMiB / 1024;
  const speeds = Object.entries(taken).map(([name, { seconds, cpuSeconds }]) => {
    return [name, { mibPerSecond: sizeMiB / median(seconds), cpuSecondsPerGib: median(cpuSeconds) / gib }] as const;
  });
  return Object.fromEntries(speeds);
}

function stockContestants(tool: string, files: Files): Contestants {
  const crypt = (mode: string, input: string) => async (): Promise<void> => {
    execFileSync(tool, [mode, "-w", files.key, "-i", input, "-o", files.out], { stdio: "ignore" });
    return Promise.resolve();
  };
  return { [`${STOCK} encrypt`]: crypt("encrypt", files.plain), [`${STOCK} decrypt`]: crypt("decrypt", files.sealed) };
}

/** One cipher, one key, 1 MiB at a time, flushed at the end as ours is. */
function encryptStream(files: Files): void {
  const cipher = createCipheriv("aes-128-gcm", randomBytes(16), randomBytes(12));
  const [input, output] = [openSync(files.plain, "r"), openSync(files.out, "w")];
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let count = readSync(input, chunk); count > 0; count = readSync(input, chunk)) {
    writeSync(output, cipher.update(chunk.subarray(0, count)));
  }
  cipher.final();
  fsyncSync(output);
  closeSync(input);
  closeSync(output);
}

function fillWithRandom(path: string, sizeMiB: number): void {
  if (existsSync(path) && statSync(path).size === sizeMiB * MIB) return;
  const file = openSync(path, "w");
  for (let done = 0; done < sizeMiB; done += 1) writeSync(file, randomBytes(MIB));
  closeSync(file);
}
