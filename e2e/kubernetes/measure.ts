// Measures the cluster from inside its network; `bench/cluster.ts` starts it. Prints rows as JSON.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listPods } from "@cloister/deploy/cluster";
import { decodeManifest, launchSimulated, openSimulatedPlatform } from "@cloister/enclave";
import { connectRig } from "./rig/connected.ts";
import type { BenchRow } from "../../bench/row.ts";
import { ROOT } from "./rig/images.ts";
import { waitFor } from "./rig/process.ts";
import { SLOW_MS, WHICH } from "./rig/steps.ts";
import { NAMESPACE, startWorld } from "./rig/world.ts";

const LOAD_MS = 8000;
const rig = await connectRig();
const world = await startWorld(rig);
const rows: BenchRow[] = [];
const cluster = ["--config", world.configFile, "--kubeconfig", rig.kubeconfig, "--json"];
// Processor time as a real replica asks for; the stories make do with less, so that ten of them fit. Requests come to a new replica
// when connections to others end.
world.configure({ gateway: { kind: "none" }, cpu: "400m", maxConnectionAge: "3s" });
const files = ["--enclave-manifest", world.owner.manifestFile, "--simulated-platform", world.platformFile];
await world.cli("deploy", "apply", ...cluster, ...files);

/** One replica as plain processes on this machine: what a pod adds is the difference. */
async function startPlainReplica(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "cloister-plain-"));
  const startedAt = performance.now();
  const replica = await launchSimulated({
    platform: await openSimulatedPlatform(world.platformFile),
    installation: { root: ROOT, nodeExecutable: process.execPath },
    manifest: decodeManifest(new Uint8Array(await readFile(world.owner.manifestFile))),
    hostOptions: {
      replicaId: "plain",
      brokerAddresses: [{ host: "127.0.0.1", port: 4433 }],
      sealedDir: join(world.modelsFolder, "digits/1"),
      listen: { host: "127.0.0.1", port: 0 },
    },
    logFile: join(folder, "log"),
  });
  const ms = performance.now() - startedAt;
  await replica.stop();
  await rm(folder, { recursive: true });
  return ms;
}

/** From the wish for one more replica to its first answer, with the times that the cluster and the replica tell. */
async function waterfall(): Promise<void> {
  const known = new Set((await listPods(rig.api, WHICH)).map(({ name }) => name));
  let [wishedAt, servedAt, name] = [0, 0, ""];
  // The cluster tells its own times in whole seconds only.
  const firstSeen = new Map<string, number>();
  const look = async (): Promise<void> => {
    for (const pod of await listPods(rig.api, WHICH)) {
      const isRunning = pod.state === "Attesting" || pod.state === "READY";
      for (const what of [...(pod.node === "" ? [] : ["scheduled"]), ...(isRunning ? ["running"] : [])]) {
        const key = `${pod.name} ${what}`;
        if (!firstSeen.has(key)) firstSeen.set(key, Date.now());
      }
    }
  };
  await world.underLoad(4, async (firstAnswers) => {
    wishedAt = Date.now();
    await rig.kubectl("-n", NAMESPACE, "scale", "deployment", "serving", "--replicas=2");
    [name, servedAt] = await waitFor(
      "an answer of a new replica",
      async () => {
        await look();
        return [...firstAnswers].find(([replica]) => !known.has(replica));
      },
      SLOW_MS,
    );
  });
  const log = (await rig.kubectl("-n", NAMESPACE, "logs", name)).split("\n").filter((line) => line.startsWith("{"));
  const events = log.map((line) => JSON.parse(line) as { time: string; event: string; name?: string; ms?: number });
  const at = (event: string): number => Date.parse(events.find((it) => it.event === event)?.time ?? "");
  const phase = (wanted: string): number =>
    events.find((it) => it.event === "phase" && it.name === wanted)?.ms ?? Number.NaN;
  const plain = await startPlainReplica();
  const seenAt = (what: string): number => firstSeen.get(`${name} ${what}`) ?? Number.NaN;
  const parts: [string, number][] = [
    ["schedule", seenAt("scheduled") - wishedAt],
    ["container start", seenAt("running") - seenAt("scheduled")],
    ["program, files measured", at("probes") - seenAt("running")],
    ["quote", phase("quote")],
    ["admission, key (quote included)", phase("provision")],
    ["open", phase("open")],
    ["load", phase("load")],
    ["ready to first answer", servedAt - at("ready")],
  ];
  const whole = servedAt - wishedAt;
  for (const [part, ms] of parts) {
    const share = { peer: whole, peerName: "the whole way", ratio: whole / Math.max(ms, 1) };
    rows.push({ case: `scale-up: ${part}`, unit: "ms", ours: ms, ...share });
  }
  const peer = { peer: plain, peerName: "replica as a process, until ready", ratio: plain / whole };
  rows.push({ case: "scale-up to first answer", unit: "ms", ours: whole, ...peer });
}

async function throughput(replicas: number): Promise<void> {
  await world.cli("deploy", "scale", String(replicas), ...cluster);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const pods = (await listPods(rig.api, WHICH)).filter(({ state }) => state === "READY");
  const wait = () => new Promise<void>((resolve) => setTimeout(resolve, LOAD_MS));
  const [address = world.gateway, ...moreAddresses] = pods.map(({ address: host }) => ({ host, port: 8500 }));
  const direct = await world.underLoad(16, wait, { address, moreAddresses });
  const through = await world.underLoad(16, wait);
  const name = `${replicas} replica${replicas === 1 ? "" : "s"}`;
  const peerName = "direct to the pods";
  rows.push({
    case: `${name}, gateway`,
    unit: "req/s",
    ours: through.perSecond,
    peer: direct.perSecond,
    peerName,
    ratio: through.perSecond / direct.perSecond,
  });
  rows.push({
    case: `${name}, gateway, p99`,
    unit: "ms",
    ours: through.latency.p99Ms,
    peer: direct.latency.p99Ms,
    peerName,
    ratio: direct.latency.p99Ms / through.latency.p99Ms,
  });
}

try {
  await waterfall();
  for (const replicas of [1, 2, 4]) await throughput(replicas);
  await world.cli("deploy", "delete", ...cluster);
  process.stdout.write(`${JSON.stringify(rows)}\n`);
} finally {
  await world.close();
}
