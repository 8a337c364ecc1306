import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { predictFrame } from "@cloister/client";
import type { Tensor } from "@cloister/encoding/tensor";
import { generateResNet50 } from "@cloister/saved-model";
import { LineProcess } from "./clients/line-process.ts";
import { type Load, medianOf, type Sample, ServingProcess } from "./clients/serving-process.ts";
import type { BenchRow } from "./row.ts";

// The model server over TLS, each server in a process of its own, in turns, under a client that shares its cores:
// - the front end alone, beside @grpc/grpc-js with generated messages, the least that node:http2 can do, and the least that node:tls can;
// - ResNet-50 whole, beside the raw engine, and beside Python TensorFlow behind grpcio (in plaintext) where
//   CLOISTER_ORACLE_PYTHON names a Python with TensorFlow and its serving stubs.
// Aims: 0.7 CPU ms for a request of 602 kB, 20,000 tiny requests a second on two cores, 0.97 of the raw engine, 1.1 times Python.

const ROUNDS = Number(process.env["CLOISTER_BENCH_ROUNDS"] ?? 3);
const PYTHON = process.env["CLOISTER_ORACLE_PYTHON"];
const THREADS = String(availableParallelism());
const FLOOR = "bare node:http2";
const TLS_FLOOR = "bare node:tls";
const GRPC_JS = "@grpc/grpc-js + protobuf-es";

export async function run(): Promise<BenchRow[]> {
  return [...(await frontEnd()), ...(await wholeServer())];
}

const FRONT_END: readonly { readonly name: string; readonly load: Load }[] = [
  { name: "Predict 602 kB", load: { frame: frameOf(224 * 224 * 3), requests: 600, concurrency: 16 } },
  { name: "Predict 40 bytes", load: { frame: frameOf(1), requests: 10_000, concurrency: 64 } },
];

async function frontEnd(): Promise<BenchRow[]> {
  const [ours, grpcJs, floor, tls] = await Promise.all([
    ServingProcess.ours("ours"),
    ServingProcess.ours("grpc-js"),
    ServingProcess.ours("floor"),
    ServingProcess.ours("tls"),
  ]);
  try {
    const rows: BenchRow[] = [];
    for (const { name, load } of FRONT_END) {
      // The first requests of a process cost several times as much as later ones.
      const [own, js, bare, least] = await inTurns([ours, grpcJs, floor, tls], load);
      rows.push(rate(name, own, js, GRPC_JS), rate(name, own, bare, FLOOR), rate(name, own, least, TLS_FLOOR));
      rows.push(cpu(name, own, js, GRPC_JS), cpu(name, own, bare, FLOOR), cpu(name, own, least, TLS_FLOOR));
      rows.push(...latency(name, own, bare, FLOOR));
      const half = { ...load, ratePerSecond: own.perSecond / 2, concurrency: 256 };
      const [ownOpen, bareOpen] = await inTurns([ours, floor], half);
      rows.push(...latency(`${name}, open loop at half`, ownOpen, bareOpen, FLOOR));
    }
    return rows;
  } finally {
    await Promise.all([ours, grpcJs, floor, tls].map((server) => server.stop()));
  }
}

async function wholeServer(): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "bench-serving-"));
  try {
    const frozen = join(folder, "frozen.pb");
    await writeFile(frozen, generateResNet50({ imageSize: 224, widthDivisor: 1, seed: 7 }));
    return await measureWhole(frozen);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureWhole(frozen: string): Promise<BenchRow[]> {
  const ours = await ServingProcess.ours("model", frozen, THREADS);
  const script = join(import.meta.dirname, "clients/engine.ts");
  const engine = new LineProcess("the engine", process.execPath, [script, "onnx", frozen, THREADS]);
  await engine.next();
  const python = PYTHON === undefined ? undefined : await ServingProcess.python(PYTHON, frozen, THREADS);
  try {
    const rows: BenchRow[] = [];
    for (const clients of [1, 4]) {
      const name = `ResNet-50, ${clients} client${clients === 1 ? "" : "s"}`;
      const load = { frame: frameOf(224 * 224 * 3), requests: 20, concurrency: clients };
      const samples = { ours: [] as Sample[], raw: [] as Sample[], python: [] as Sample[] };
      for (let round = 0; round < ROUNDS; round++) {
        samples.ours.push(await ours.measure(load));
        const { ms, cpuMs } = await engine.ask<{ ms: number; cpuMs: number }>({ batch: 1, count: load.requests });
        samples.raw.push({ perSecond: 1000 / ms, cpuMs, p50Ms: ms, p95Ms: ms, p99Ms: ms });
        if (python !== undefined) samples.python.push(await python.measure(load));
      }
      const own = medianOf(samples.ours);
      const peers: [Sample, string][] = [[medianOf(samples.raw), "the raw engine, alone"]];
      if (python !== undefined) peers.push([medianOf(samples.python), "Python TensorFlow + grpcio, plaintext"]);
      rows.push(...peers.flatMap(([peer, label]) => [rate(name, own, peer, label), cpu(name, own, peer, label)]));
      const [, rival] = peers;
      if (rival !== undefined) rows.push(...latency(name, own, ...rival));
    }
    return rows;
  } finally {
    await Promise.all([ours.stop(), engine.stop(), python?.stop()]);
  }
}

/** A warm-up, then rounds in which the servers take turns: the medians of each. */
async function inTurns(servers: readonly ServingProcess[], load: Load): Promise<[Sample, Sample, Sample, Sample]> {
  for (const server of servers) await server.measure({ ...load, requests: Math.ceil(load.requests / 3) });
  const samples = servers.map(() => [] as Sample[]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, server] of servers.entries()) samples[index]?.push(await server.measure(load));
  }
  return samples.map(medianOf) as [Sample, Sample, Sample, Sample];
}

function frameOf(elements: number): Uint8Array {
  const shape = elements === 1 ? [1, 1] : [1, 224, 224, 3];
  const input: Tensor = { dtype: "float", shape, data: new Float32Array(elements).fill(0.5) };
  return predictFrame({ model: "resnet", inputs: new Map([["input", input]]) });
}

function rate(name: string, ours: Sample, peer: Sample, peerName: string): BenchRow {
  const [own, other] = [ours.perSecond, peer.perSecond];
  return { case: name, unit: "req/s", ours: own, peer: other, peerName, ratio: own / other };
}

function cpu(name: string, ours: Sample, peer: Sample, peerName: string): BenchRow {
  const [own, other] = [ours.cpuMs, peer.cpuMs];
  return { case: `${name}, server CPU`, unit: "ms/req", ours: own, peer: other, peerName, ratio: other / own };
}

function latency(name: string, ours: Sample, peer: Sample, peerName: string): BenchRow[] {
  return (["p50Ms", "p95Ms", "p99Ms"] as const).map((of) => {
    const [own, other] = [ours[of], peer[of]];
    return { case: `${name}, ${of.slice(0, 3)}`, unit: "ms", ours: own, peer: other, peerName, ratio: other / own };
  });
}
