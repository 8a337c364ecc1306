import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@cloister/encoding";
import { type NodeCipher, nodeCryptoCipher, openFile, openStream, sealFile } from "@cloister/protected-files";
import { nodeCipher, withReader } from "@cloister/protected-files/rim";
import type { BenchRow } from "./row.ts";

// The cipher of nodes that is in use, beside `node:crypto`'s, in what a thread does alone: a whole file in memory (as a model is
// opened), forward streaming, and reads of a few bytes anywhere, which verify one data node each.

const MIB = 2 ** 20;
const FILE_BYTES = 32 * MIB;
const READS = 1000;
const READ_BYTES = 100;
const PIECE_BYTES = 64 * 1024;
const ROUNDS = 7;

type Work = (cipher: NodeCipher) => Promise<unknown>;

/** Rows in MiB/s, and microseconds a read. Where the fast cipher is not to be had both are `node:crypto` and the ratio is 1. */
export async function cipherRows(directory: string): Promise<BenchRow[]> {
  const fast = await nodeCipher();
  const options = { wrapKey: new Secret(randomBytes(16), "wrap key"), boundPath: "models/bench/1/model" };
  const plaintext = randomBytes(FILE_BYTES);
  const sealed = sealFile(plaintext, { ...options, cipher: fast });
  const path = join(directory, "ciphers");
  await writeFile(path, sealed);
  const works: Readonly<Record<string, Work>> = {
    "seal in memory": (cipher) => Promise.resolve(sealFile(plaintext, { ...options, cipher })),
    "open in memory": (cipher) => Promise.resolve(openFile(sealed, { ...options, cipher })),
    "open as a stream": async (cipher) => {
      for await (const chunk of openStream(pieces(sealed), { ...options, cipher })) if (chunk.length === 0) return;
    },
    [`read ${READ_BYTES} bytes anywhere`]: (cipher) => readAnywhere(path, { ...options, cipher }),
  };
  const rows: BenchRow[] = [];
  for (const [name, work] of Object.entries(works)) rows.push(await compare(name, fast, work));
  return rows;
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    yield await Promise.resolve(bytes.subarray(at, at + PIECE_BYTES));
  }
}

async function readAnywhere(path: string, options: Parameters<typeof withReader>[1]): Promise<void> {
  await withReader(path, options, async (reader) => {
    for (let count = 0; count < READS; count += 1) {
      await reader.read(Math.floor(Math.random() * (reader.sizeBytes - READ_BYTES)), READ_BYTES);
    }
  });
}

async function compare(name: string, fast: NodeCipher, work: Work): Promise<BenchRow> {
  const seconds: Record<"ours" | "peer", number[]> = { ours: [], peer: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [side, cipher] of [["ours", fast] as const, ["peer", nodeCryptoCipher] as const]) {
      const start = performance.now();
      await work(cipher);
      seconds[side].push((performance.now() - start) / 1000);
    }
  }
  const [ours, peer] = [median(seconds.ours), median(seconds.peer)];
  const row = { case: `${name}, ${fast.name}`, peerName: nodeCryptoCipher.name, ratio: peer / ours };
  if (name.startsWith("read")) return { ...row, unit: "us", ours: (ours / READS) * 1e6, peer: (peer / READS) * 1e6 };
  return { ...row, unit: "MiB/s", ours: FILE_BYTES / MIB / ours, peer: FILE_BYTES / MIB / peer };
}

/** The middle of some numbers; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
