import { type ChildProcess, fork } from "node:child_process";
import { createHash, generateKeyPair } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { STATE_FILES } from "@cloister/broker/service";
import { Secret, toHex } from "@cloister/encoding";
import { parsePolicy } from "@cloister/policy";
import { encodeBundleManifest, sealBundle } from "@cloister/protected-files";
import type { LogEntry } from "@cloister/release-log";
import type { BrokerFacts, BrokerJob, BrokerOrder } from "./clients/at-size-broker.ts";
import type { LogJob, LogResult } from "./clients/at-size-log.ts";
import { MRENCLAVE } from "./clients/at-size-evidence.ts";
import type { ReplicasJob, ReplicasResult } from "./clients/at-size-replicas.ts";
import type { BenchRow } from "./row.ts";

// What happens to the control path at 100, 1,000 and 10,000 replicas: the real broker with its files, and replicas that are clients with
// the product's patience and quotes of a SIMULATED platform, made before the clock runs. docs/explanation/at-size.md reads the
// figures.

const SIZES = (process.env["CLOISTER_BENCH_REPLICAS"] ?? "100,1000,10000").split(",").map(Number);
const LOG_SIZES = (process.env["CLOISTER_BENCH_ENTRIES"] ?? "100000,1000000").split(",").map(Number);
const STEADY = 16;
const STEADY_REPLICAS = 500;
const WAITING_REPLICAS = Math.min(1000, Math.max(...SIZES));
const WAITING_MS = 20_000;
/** How long a replica waits for an answer before it comes again. */
const PATIENCE_SECONDS = 20;
const RELOADS_EVERY_MS = 500;
const MANY_WORKLOADS = 1000;
const STEADY_NAME = `the same, ${STEADY} at a time`;
const MODEL = { name: "digits", version: 1 };
const KEY_ID = "models/digits/1";

const generate = promisify(generateKeyPair);

export async function run(): Promise<BenchRow[]> {
  const platform = createSimulatedPlatform({ now: new Date() });
  const steadyRate = await withBroker(platform, {}, async (broker) => {
    const steady = (): Promise<ReplicasResult> => broker.ask(STEADY_REPLICAS, { concurrency: STEADY });
    await steady();
    const { seconds } = await steady();
    say(`steady: ${(STEADY_REPLICAS / seconds).toFixed(0)} releases a second`);
    return STEADY_REPLICAS / seconds;
  });
  const rows: BenchRow[] = [];
  let entry: LogEntry | undefined;
  for (const size of SIZES) {
    const storm = await measureStorm(platform, size, steadyRate);
    rows.push(...storm.rows);
    entry = storm.entry;
  }
  rows.push(...(await measureAddressLimit(platform, steadyRate)));
  if (entry !== undefined) for (const size of LOG_SIZES) rows.push(...(await measureLog(size, entry)));
  rows.push(...(await measurePolicy(platform)));
  rows.push(...(await measureExpiry(platform, steadyRate)));
  return rows;
}

const lower = (name: string, unit: string, ours: number, peer: number, peerName: string): BenchRow => ({
  case: name,
  unit,
  ours,
  peer,
  peerName,
  ratio: peer / ours,
});

/**
 * All at once, as after a power failure or a change of the model; replicas come from addresses of their own. More than the broker
 * serves within their patience are started over one and a half times the time that it needs: one machine's clients cannot end as many
 * handshakes at once, so they would be what is measured.
 */
async function measureStorm(platform: SimulatedPlatform, size: number, steadyRate: number) {
  return withBroker(platform, { connectionsPerAddress: size }, async (broker) => {
    const before = await broker.tell();
    const ideal = size / steadyRate;
    const spreadMs = ideal > PATIENCE_SECONDS ? 1500 * ideal : 0;
    const name = spreadMs === 0 ? `storm of ${size}` : `${size} started over ${Math.round(spreadMs / 1000)} s`;
    const result = await broker.ask(size, { spreadMs });
    const after = await broker.tell();
    report(name, result, after);
    const bytes = (after.logBytes - before.logBytes) / after.logEntries;
    const lines = (await readFile(broker.logFile, "utf8")).split("\n");
    const line = lines.find((text) => text.includes('"released"')) ?? "";
    const entry = JSON.parse(line) as LogEntry;
    const rows = [
      lower(`${name}: until all have their key`, "s", result.seconds, ideal, STEADY_NAME),
      lower(`${name}: p50 of the time to a key`, "s", at(result, 0.5), ideal / 2, "a queue at that rate"),
      lower(`${name}: p99 of the time to a key`, "s", at(result, 0.99), ideal * 0.99, "a queue at that rate"),
      lower(`${name}: attempts`, "each", 1 + sum(result.refusals) / size, 1, "one each"),
      lower(`${name}: log on disk`, "B each", bytes, line.length, "the entry alone"),
      lower(`${name}: memory of the broker`, "MiB", mib(after.rssBytes), mib(before.rssBytes), "before"),
    ];
    return { rows, entry };
  });
}

/** The same behind one address, as pods that leave their cluster through one gateway. */
async function measureAddressLimit(platform: SimulatedPlatform, steadyRate: number): Promise<BenchRow[]> {
  const size = WAITING_REPLICAS;
  const result = await withBroker(platform, {}, (broker) => broker.ask(size));
  const spread = await withBroker(platform, {}, (broker) => broker.ask(size, { spreadMs: (2000 * size) / steadyRate }));
  say(`from one address: attempts without a key ${JSON.stringify(result.refusals)}`);
  const [name, gentle] = [`storm of ${size} from one address`, `${size} started over twice the time`];
  return [
    lower(`${name}: until all have their key`, "s", result.seconds, size / steadyRate, STEADY_NAME),
    lower(`${name}: attempts`, "each", 1 + sum(result.refusals) / size, 1, "one each"),
    lower(`${gentle}: p99 of the time to a key`, "s", at(spread, 0.99), at(result, 0.99), "all at once"),
  ];
}

async function measureLog(entries: number, entry: LogEntry): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "bench-at-size-"));
  try {
    const path = join(folder, "log");
    const child = fork(new URL("clients/at-size-log.ts", import.meta.url));
    child.send({ path, entries, entry } satisfies LogJob);
    const [result] = (await once(child, "message")) as [LogResult];
    const startedAt = performance.now();
    await readFile(path);
    const readMs = performance.now() - startedAt;
    const name = `log of ${entries} entries`;
    return [
      lower(`${name}: start of a broker`, "s", result.openMs / 1000, readMs / 1000, "read the file alone"),
      lower(`${name}: memory`, "B each", Math.max(result.memoryBytes, 1) / entries, 32, "one SHA-256 each"),
      lower(`${name}: on disk`, "B each", result.bytes / entries, JSON.stringify(entry).length, "the entry alone"),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A policy is put in place again and again while replicas are admitted. */
async function measurePolicy(platform: SimulatedPlatform): Promise<BenchRow[]> {
  return withBroker(platform, {}, async (broker) => {
    const steady = (): Promise<ReplicasResult> => broker.ask(STEADY_REPLICAS, { concurrency: STEADY });
    await steady();
    const calm = await steady();
    const small = await broker.order({ order: "policy", policy: policyOf(platform, 2) });
    const rows: BenchRow[] = [];
    const policy = policyOf(platform, MANY_WORKLOADS);
    const startedAt = performance.now();
    parsePolicy(JSON.parse(JSON.stringify(policy)));
    const parseMs = performance.now() - startedAt;
    const large = await broker.order({ order: "policy", policy });
    rows.push(
      lower(
        "policy of 2 workloads: put in place",
        "ms",
        small.orderMs,
        parseMs / (MANY_WORKLOADS / 2),
        "its share of parsing one of 1000",
      ),
    );
    rows.push(
      lower(`policy of ${MANY_WORKLOADS} workloads: put in place`, "ms", large.orderMs, parseMs, "parsing alone"),
    );
    const many = await steady();
    const over = new AbortController();
    const reloads = (async () => {
      while (!over.signal.aborted) {
        await broker.order({ order: "policy", policy });
        await sleep(RELOADS_EVERY_MS);
      }
    })();
    const disturbed = await steady();
    over.abort();
    await reloads;
    rows.push(
      lower(
        `releases, ${MANY_WORKLOADS} workloads: p99`,
        "ms",
        at(many, 0.99) * 1000,
        at(calm, 0.99) * 1000,
        "one workload",
      ),
    );
    rows.push(
      lower(
        `releases, that policy reloaded twice a second: p99`,
        "ms",
        at(disturbed, 0.99) * 1000,
        at(many, 0.99) * 1000,
        "not reloaded",
      ),
    );
    return rows;
  });
}

/** Replicas start while what the broker knows of their platforms is past its time; then it gets fresh collateral. */
async function measureExpiry(platform: SimulatedPlatform, steadyRate: number): Promise<BenchRow[]> {
  const size = WAITING_REPLICAS;
  return withBroker(platform, { connectionsPerAddress: size }, async (broker) => {
    await broker.order({ order: "collateral", isExpired: true });
    const asked = broker.ask(size);
    const isRefused = async (): Promise<boolean> => Object.keys((await broker.tell()).events).length > 0;
    while (!(await isRefused())) await sleep(100);
    const before = await broker.tell();
    await sleep(WAITING_MS);
    const expired = await broker.tell();
    const renewedAt = performance.now();
    await broker.order({ order: "collateral", isExpired: false });
    const result = await asked;
    const seconds = (performance.now() - renewedAt) / 1000;
    report("expired", result, expired);
    const perMinute = (count: number): number => (count * 60_000) / WAITING_MS / size;
    const name = `collateral expired, ${size} replicas wait`;
    return [
      lower(
        `${name}: refusals in the log`,
        "each/min",
        perMinute(expired.logEntries - before.logEntries),
        6,
        "a pause of 10 s",
      ),
      lower(
        `${name}: log on disk`,
        "KiB each/h",
        (perMinute(expired.logBytes - before.logBytes) * 60) / 1024,
        1,
        "one entry",
      ),
      lower(`${name}: renewed, until all have a key`, "s", seconds, size / steadyRate, STEADY_NAME),
    ];
  });
}

interface Bench {
  readonly logFile: string;
  readonly tell: () => Promise<BrokerFacts>;
  readonly order: (order: BrokerOrder) => Promise<BrokerFacts>;
  /** Runs replicas in a process of their own. Throws where one of them got no key. */
  readonly ask: (replicas: number, how?: Pick<ReplicasJob, "concurrency" | "spreadMs">) => Promise<ReplicasResult>;
}

async function withBroker<T>(
  platform: SimulatedPlatform,
  { connectionsPerAddress }: Pick<BrokerJob, "connectionsPerAddress">,
  work: (broker: Bench) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "bench-at-size-"));
  const child = fork(new URL("clients/at-size-broker.ts", import.meta.url), { serialization: "advanced" });
  try {
    const saved = new TextDecoder().decode(platform.save().reveal());
    const bundle = await sealedBundle();
    const policy = policyOf(platform, 1);
    const job = { folder, platform: saved, keyId: KEY_ID, policy, bundle };
    const order = (message: BrokerJob | BrokerOrder): Promise<BrokerFacts> => answerOf<BrokerFacts>(child, message);
    const { port, ca } = await order({ ...job, ...(connectionsPerAddress !== undefined && { connectionsPerAddress }) });
    const ask: Bench["ask"] = async (replicas, how = {}) => {
      const clients = fork(new URL("clients/at-size-replicas.ts", import.meta.url), { serialization: "advanced" });
      const ended = once(clients, "exit");
      const result = await answerOf<ReplicasResult>(clients, {
        port,
        ca,
        replicas,
        platform: saved,
        ...how,
      } satisfies ReplicasJob);
      await ended;
      if (result.failed > 0)
        throw new Error(`${result.failed} replicas got no key: ${JSON.stringify(result.refusals)}`);
      return result;
    };
    const tell = (): Promise<BrokerFacts> => order({ order: "tell" });
    return await work({ logFile: join(folder, STATE_FILES.log), tell, order, ask });
  } finally {
    const ended = once(child, "exit");
    child.send({ order: "stop" } satisfies BrokerOrder);
    await ended;
    await rm(folder, { recursive: true });
  }
}

/** Sends a message and gives the next one back. Throws where the process ended instead. */
async function answerOf<T>(child: ChildProcess, message: object): Promise<T> {
  const done = new AbortController();
  const { signal } = done;
  try {
    child.send(message);
    const ended = once(child, "exit", { signal }).then(() => {
      throw new Error("a process of the benchmark ended early");
    });
    const [answer] = (await Promise.race([once(child, "message", { signal }), ended])) as [T];
    return answer;
  } finally {
    // The one that lost the race is told to end, and nobody has to hear of that.
    done.abort();
  }
}

async function sealedBundle(): Promise<BrokerJob["bundle"]> {
  const owner = await generate("ed25519", {});
  const { manifest } = sealBundle({
    files: new Map([["saved_model.pb", new Uint8Array(1024)]]),
    model: MODEL,
    generation: 1,
    wrapKey: new Secret(new Uint8Array(16).fill(7), "wrap key"),
    signingKey: owner.privateKey,
  });
  const ownerKey = new Uint8Array(owner.publicKey.export({ type: "spki", format: "der" }));
  return { manifest: encodeBundleManifest(manifest), ownerKey };
}

/** A policy whose last workload is that of the replicas. */
function policyOf(platform: SimulatedPlatform, workloads: number): object {
  const anchorSha256 = createHash("sha256").update(platform.trustAnchor.certificate).digest("hex");
  const workload = (name: string, mrenclave: Uint8Array): object => ({
    name,
    identities: [{ tee: "sgx", mrenclave: toHex(mrenclave) }],
    platforms: [{ kind: "simulated", anchorSha256 }],
    secrets: {
      keyId: KEY_ID,
      model: { ...MODEL, minimumGeneration: 1 },
      serving: { dnsNames: ["serving.test"], clientVerify: false },
    },
  });
  const others = Array.from({ length: workloads - 1 }, (_, i) =>
    workload(`other-${i}`, new Uint8Array(createHash("sha256").update(String(i)).digest())),
  );
  return { schema: "cloister-policy/1", production: false, workloads: [...others, workload("bench", MRENCLAVE)] };
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** What a person wants to see beside the rows. */
function report(name: string, { refusals }: ReplicasResult, { events }: BrokerFacts): void {
  process.stderr.write(
    `${name}: attempts without a key ${JSON.stringify(refusals)}, broker ${JSON.stringify(events)}\n`,
  );
}

/** Seconds within which that part of the replicas had their key. */
function at({ latenciesMs }: ReplicasResult, part: number): number {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * part)] ?? Number.NaN) / 1000;
}

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);

const mib = (bytes: number): number => bytes / 2 ** 20;
