import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createChannel, generateLoad, PredictClient, predictFrame } from "@cloister/client";
import type { Tensor } from "@cloister/encoding/tensor";
import type { BenchRow } from "./row.ts";

// The front end of the model server over TLS beside @grpc/grpc-js with generated messages, each in its own process under the
// same client: ResNet-50's request (602,112 bytes of tensor_content) and a tiny one.

const ROUNDS = 3;
const PEER = "@grpc/grpc-js + protobuf-es";
const CASES = [
  { name: "Predict 602 kB over TLS", elements: 224 * 224 * 3, requests: 300 },
  { name: "Predict 40 bytes over TLS", elements: 1, requests: 3000 },
] as const;

interface ServerProcess {
  readonly child: ChildProcess;
  readonly client: PredictClient;
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

interface Sample {
  readonly perSecond: number;
  readonly cpuMsPerRequest: number;
}

/** Requests a second and the server's CPU time for each, ours and the peer's, in alternating rounds. */
export async function run(): Promise<BenchRow[]> {
  const ours = await start("ours");
  const peer = await start("grpc-js");
  try {
    const rows: BenchRow[] = [];
    for (const { name, elements, requests } of CASES) {
      const frame = frameOf(elements);
      const samples = { ours: [] as Sample[], peer: [] as Sample[] };
      for (const server of [ours, peer]) await measure(server, frame, Math.ceil(requests / 3));
      for (let round = 0; round < ROUNDS; round++) {
        samples.ours.push(await measure(ours, frame, requests));
        samples.peer.push(await measure(peer, frame, requests));
      }
      rows.push(...rowsOf(name, samples.ours, samples.peer));
    }
    return rows;
  } finally {
    await Promise.all([ours.stop(), peer.stop()]);
  }
}

async function start(kind: "ours" | "grpc-js"): Promise<ServerProcess> {
  const child = fork(join(import.meta.dirname, "serving.server.ts"), [kind]);
  const [{ port, ca }] = (await once(child, "message")) as [{ port: number; ca: string }];
  const tls = { ca, serverName: "server.test" };
  const channel = createChannel({ address: { host: "127.0.0.1", port }, tls, connections: 2 });
  return {
    child,
    client: new PredictClient(channel),
    cpuMs: async () => {
      child.send("cpu");
      const [{ cpuMs }] = (await once(child, "message")) as [{ cpuMs: number }];
      return cpuMs;
    },
    stop: async () => {
      await channel.close();
      child.disconnect();
    },
  };
}

function frameOf(elements: number): Uint8Array {
  const input: Tensor = { dtype: "float", shape: [1, elements], data: new Float32Array(elements).fill(0.5) };
  return predictFrame({ model: "resnet", inputs: new Map([["input", input]]) });
}

async function measure(server: ServerProcess, frame: Uint8Array, requests: number): Promise<Sample> {
  const before = await server.cpuMs();
  const report = await generateLoad(() => server.client.predictFrame(frame), { requests, concurrency: 16 });
  if (report.failed > 0) throw new Error("a request failed");
  return { perSecond: report.perSecond, cpuMsPerRequest: ((await server.cpuMs()) - before) / requests };
}

function rowsOf(name: string, ours: readonly Sample[], peer: readonly Sample[]): BenchRow[] {
  const [ourRate, peerRate] = [median(ours.map((s) => s.perSecond)), median(peer.map((s) => s.perSecond))];
  const [ourCpu, peerCpu] = [median(ours.map((s) => s.cpuMsPerRequest)), median(peer.map((s) => s.cpuMsPerRequest))];
  return [
    { case: name, unit: "req/s", ours: ourRate, peer: peerRate, peerName: PEER, ratio: ourRate / peerRate },
    {
      case: `${name}, server CPU`,
      unit: "ms/req",
      ours: ourCpu,
      peer: peerCpu,
      peerName: PEER,
      ratio: peerCpu / ourCpu,
    },
  ];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
