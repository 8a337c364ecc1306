import { type ChildProcess, fork } from "node:child_process";
import { constants, createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:tls";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { DEFAULT_LIMITS, startBroker } from "@cloister/broker";
import { createAuthority, issueServerCertificate } from "@cloister/broker/certificates";
import { Secret, toHex } from "@cloister/encoding";
import { openStore } from "@cloister/broker/store";
import { encodePem } from "@cloister/encoding/pem";
import { parsePolicy, type Policy } from "@cloister/policy";
import type { ClientJob, ClientResult } from "./clients/broker.ts";
import type { BenchRow } from "./row.ts";

// Releases end to end (TCP, TLS with a client certificate, appraisal of its two quotes, policy, durable log entry, secret)
// beside the floor: the same handshake by a server that answers at once. The clients run in a process of their own, and each
// release has its own key, as replicas have. Broker and floor take turns, so that a busy machine is busy for both. The rows
// without a name are for replicas of this system (P-256); Gramine's library makes P-384 keys, which OpenSSL has no fast code
// for: one more such signature to check is what its row shows. Clients that follow each other as fast as they can show what the
// two processes can do; the row at 150 a second, which is the aim, shows how long a release takes below that.

const CASES: readonly { clients: number; curve: string; suffix: string; perSecond?: number }[] = [
  { clients: 1, curve: "P-256", suffix: "" },
  { clients: 16, curve: "P-256", suffix: "" },
  { clients: 64, curve: "P-256", suffix: "" },
  { clients: 16, curve: "P-384", suffix: " (Gramine, P-384)" },
  { clients: 16, curve: "P-256", suffix: ", 150 a second", perSecond: 150 },
];
const ROUNDS = Number(process.env["CLOISTER_BENCH_ROUNDS"] ?? 3);
const RELEASES = ROUNDS > 1 ? 1024 : 128;
const WARM_UP = RELEASES / 4;
const MRENCLAVE = new Uint8Array(32).fill(0xe1);
const FLOOR = "TLS handshake alone";
const IDLE_SOCKETS = 200;
const SLOW_SOCKETS = 50;
const HELLO_BEGINNING = Buffer.from("160301020001000101fc0303", "hex");
const ANSWER = Buffer.concat([
  Buffer.from("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0"),
  Buffer.from([0, 0, 0, 16]),
  Buffer.alloc(16, 7),
]);

interface Identity {
  readonly key: string;
  readonly cert: string;
}

interface Server {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function run(): Promise<BenchRow[]> {
  const now = new Date();
  const platform = createSimulatedPlatform({ now });
  const authority = createAuthority({ name: "bench CA", now });
  const keyPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issued = issueServerCertificate({ authority, now, subject: keyPair, dnsNames: ["broker.test"] });
  const tls = { key: pemOf(keyPair.privateKey), cert: issued.chain };
  const ca = issued.chain.slice(issued.chain.lastIndexOf("-----BEGIN"));
  const rows: BenchRow[] = [];
  for (const { clients: concurrency, curve, suffix, perSecond } of CASES) {
    const results = { ours: [] as ClientResult[], floor: [] as ClientResult[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const enclaves = await Promise.all(Array.from({ length: WARM_UP + RELEASES }, () => enclave(platform, curve)));
      const job = { ca, concurrency, enclaves, warmUp: WARM_UP, perSecond };
      results.ours.push(await measure(await brokerFor(platform, tls), job));
      results.floor.push(await measure(await floorFor(tls), job));
    }
    rows.push(...rowsOf(`${concurrency === 1 ? "1 client" : `${concurrency} clients`}${suffix}`, results, FLOOR));
  }
  rows.push(...(await besideSilentSockets(platform, tls, ca)));
  return rows;
}

/** Good clients while others hold 200 idle sockets and 50 that send a byte of a ClientHello now and then. */
async function besideSilentSockets(platform: SimulatedPlatform, tls: Identity, ca: string): Promise<BenchRow[]> {
  const results = { ours: [] as ClientResult[], floor: [] as ClientResult[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const enclaves = await Promise.all(Array.from({ length: WARM_UP + RELEASES }, () => enclave(platform, "P-256")));
    const job = { ca, concurrency: 16, enclaves, warmUp: WARM_UP };
    const broker = await brokerFor(platform, tls);
    const letGo = await holdSockets(broker.port);
    results.ours.push(await measure(broker, job));
    letGo();
    const others = await Promise.all(Array.from({ length: WARM_UP + RELEASES }, () => enclave(platform, "P-256")));
    results.floor.push(await measure(await brokerFor(platform, tls), { ...job, enclaves: others }));
  }
  return rowsOf("16 clients beside 200 idle and 50 slow sockets", results, "the same without those sockets");
}

async function holdSockets(port: number): Promise<() => void> {
  const sockets = Array.from({ length: IDLE_SOCKETS + SLOW_SOCKETS }, () => connect(port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => undefined);
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  // They have the time that a handshake is given. After it some give way to good clients where the limit of an address is reached.
  await sleep(DEFAULT_LIMITS.displaceAfterMs * 1.5);
  let turn = 0;
  const drip = setInterval(() => {
    const at = turn % HELLO_BEGINNING.length;
    for (const socket of sockets.slice(IDLE_SOCKETS)) socket.write(HELLO_BEGINNING.subarray(at, at + 1));
    turn += 1;
  }, 100);
  return () => {
    clearInterval(drip);
    for (const socket of sockets) socket.destroy();
  };
}

const pemOf = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;

async function enclave(platform: SimulatedPlatform, namedCurve: string): Promise<Identity> {
  const keyPair = generateKeyPairSync("ec", { namedCurve });
  const der = await createRaTlsCertificate({
    keyPair,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    quote: (reportData) =>
      Promise.resolve(platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: new Uint8Array(32) })),
  });
  return { key: pemOf(keyPair.privateKey), cert: encodePem("CERTIFICATE", der) };
}

function policyFor(platform: SimulatedPlatform): Policy {
  const anchorSha256 = createHash("sha256").update(platform.trustAnchor.certificate).digest("hex");
  return parsePolicy({
    schema: "cloister-policy/1",
    production: false,
    workloads: [
      {
        name: "bench",
        identities: [{ tee: "sgx", mrenclave: toHex(MRENCLAVE) }],
        platforms: [{ kind: "simulated", anchorSha256 }],
        secrets: { keyId: "bench" },
      },
    ],
  });
}

async function brokerFor(platform: SimulatedPlatform, tls: Identity): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "bench-broker-"));
  const signingKey = generateKeyPairSync("ed25519").privateKey;
  // Where `cloister broker` keeps its log by default.
  const store = await openStore({ path: join(folder, "broker.db") });
  const { log } = await store.openLog({ origin: "bench/broker", signingKey });
  const collateral = platform.collateral();
  const broker = await startBroker({
    host: "127.0.0.1",
    port: 0,
    tls,
    policy: policyFor(platform),
    keys: { secret: () => Promise.resolve(new Secret(new Uint8Array(16), "bench key")) },
    collateral: () => Promise.resolve(collateral),
    anchors: [platform.trustAnchor],
    log,
  });
  const close = async (): Promise<void> => {
    await broker.close();
    await store.close();
    await rm(folder, { recursive: true });
  };
  return { port: broker.address.port, close };
}

async function floorFor(tls: Identity): Promise<Server> {
  const server = createServer(
    {
      ...tls,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.2",
      requestCert: true,
      rejectUnauthorized: false,
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
    (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(ANSWER));
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    server.close();
    await once(server, "close");
  };
  return { port: (server.address() as AddressInfo).port, close };
}

async function measure(server: Server, job: Omit<ClientJob, "port">): Promise<ClientResult> {
  const clients = fork(new URL("clients/broker.ts", import.meta.url), { serialization: "advanced" });
  try {
    return await resultOf(clients, { ...job, port: server.port });
  } finally {
    await server.close();
  }
}

/** Rejects where the process ends without its result: killed, or a provisioning failed. */
async function resultOf(clients: ChildProcess, job: ClientJob): Promise<ClientResult> {
  let result: ClientResult | undefined;
  clients.once("message", (message: ClientResult) => {
    result = message;
  });
  const exited = once(clients, "exit");
  clients.send(job);
  const [code, signal] = (await exited) as [number | null, NodeJS.Signals | null];
  if (result !== undefined) return result;
  throw new Error(`the benchmark's clients ended without a result: ${signal ?? `exit code ${code}`}`);
}

function rowsOf(
  of: string,
  { ours, floor }: { ours: ClientResult[]; floor: ClientResult[] },
  peerName: string,
): BenchRow[] {
  const rate = (results: ClientResult[]): number => median(results.map((one) => one.latenciesMs.length / one.seconds));
  const latency = (results: ClientResult[], part: number): number => {
    const all = results.flatMap((one) => [...one.latenciesMs]).sort((a, b) => a - b);
    return all[Math.floor(all.length * part)] ?? Number.NaN;
  };
  const rates = { ours: rate(ours), peer: rate(floor) };
  const rows: BenchRow[] = [
    { case: `releases, ${of}`, unit: "/s", ...rates, peerName, ratio: rates.ours / rates.peer },
  ];
  for (const [name, part] of [
    ["p50", 0.5],
    ["p99", 0.99],
  ] as const) {
    const pair = { ours: latency(ours, part), peer: latency(floor, part) };
    rows.push({ case: `${name}, ${of}`, unit: "ms", ...pair, peerName, ratio: pair.peer / pair.ours });
  }
  return rows;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
