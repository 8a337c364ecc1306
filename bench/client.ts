import { createHash } from "node:crypto";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import {
  type ChannelOptions,
  createAttestor,
  createChannel,
  pinnedPolicy,
  PredictClient,
  predictFrame,
} from "@cloister/client";
import { toHex } from "@cloister/encoding";
import { startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import type { BenchRow } from "./row.ts";

// What attestation costs beside plain TLS: one server, the same certificate, connections and requests by turns in one run, in one
// process. The quote is made by a SIMULATED platform (one ECDSA signature); a real one takes longer to quote, which is the
// server's time and not the client's. Collateral is cached: the verifier has seen it on an earlier connection.

const IS_WHOLE = process.env["CLOISTER_BENCH_ROUNDS"] === undefined;
const CONNECTIONS = IS_WHOLE ? 200 : 20;
const REQUESTS = IS_WHOLE ? 2000 : 200;
const WARMUP = 20;
const AIM_ADDED_MS = 4;

export async function run(): Promise<BenchRow[]> {
  const certificates = testCertificates();
  const platform = createSimulatedPlatform({ now: new Date() });
  const mrenclave = createHash("sha256").update("bench").digest();
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    evidence: {
      quote: (reportData) => Promise.resolve(platform.quote({ reportData, mrenclave, mrsigner: mrenclave })),
    },
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
  });
  const anchors = [platform.trustAnchor];
  const collateral = platform.collateral();
  const attestation = createAttestor({
    anchors,
    policy: pinnedPolicy(toHex(mrenclave), anchors),
    collateral: () => Promise.resolve(collateral),
  });
  const plain: ChannelOptions = {
    address: server.address,
    tls: { ca: certificates.ca, serverName: "server.test" },
  };
  const attested: ChannelOptions = { ...plain, attestation };
  try {
    return [...(await connectionRows(plain, attested)), ...(await requestRows(plain, attested))];
  } finally {
    await server.close();
  }
}

const FRAME = predictFrame({
  model: "half",
  inputs: new Map([["x", { dtype: "float", shape: [64], data: new Float32Array(64) } as const]]),
});

/** A fresh connection with its first request. */
async function connectionRows(plain: ChannelOptions, attested: ChannelOptions): Promise<BenchRow[]> {
  const [ours, peer] = await takeTurns(
    CONNECTIONS,
    () => connectOnce(attested),
    () => connectOnce(plain),
  );
  const added = ours - peer;
  return [
    { case: "connect and first request", unit: "ms", ours, peer, peerName: "plain TLS", ratio: peer / ours },
    {
      case: "added per connection",
      unit: "ms",
      ours: added,
      peer: AIM_ADDED_MS,
      peerName: "aim",
      ratio: AIM_ADDED_MS / added,
    },
  ];
}

async function connectOnce(options: ChannelOptions): Promise<void> {
  const channel = createChannel(options);
  await new PredictClient(channel).predictFrame(FRAME);
  await channel.close();
}

/** Requests on a connection that is there. */
async function requestRows(plain: ChannelOptions, attested: ChannelOptions): Promise<BenchRow[]> {
  const channels = [createChannel(attested), createChannel(plain)] as const;
  const [first, second] = channels.map((channel) => new PredictClient(channel));
  const [ours, peer] = await takeTurns(
    REQUESTS,
    () => first?.predictFrame(FRAME),
    () => second?.predictFrame(FRAME),
  );
  await Promise.all(channels.map((channel) => channel.close()));
  return [{ case: "request", unit: "ms", ours, peer, peerName: "plain TLS", ratio: peer / ours }];
}

/** Medians in milliseconds; the order of the two changes from round to round. */
async function takeTurns(
  rounds: number,
  ours: () => Promise<unknown> | undefined,
  peer: () => Promise<unknown> | undefined,
): Promise<readonly [number, number]> {
  const timesMs: [number[], number[]] = [[], []];
  for (let round = -WARMUP; round < rounds; round++) {
    const order = round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    for (const which of order) {
      const startedAt = performance.now();
      await (which === 0 ? ours() : peer());
      if (round >= 0) timesMs[which].push(performance.now() - startedAt);
    }
  }
  return [median(timesMs[0]), median(timesMs[1])];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
