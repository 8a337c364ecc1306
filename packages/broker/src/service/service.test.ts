import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { startSimulatedPccs } from "@cloister/attestation/simulated-pccs";
import { Secret } from "@cloister/encoding";
import { verifyReleaseLogFile } from "@cloister/release-log/file";
import type { BrokerEvent } from "../monitoring/events.ts";
import { KeyStore } from "../keys/key-store.ts";
import type { KeyProtection } from "../keys/protection.ts";
import { createTestAuthority } from "../testing/authority.ts";
import { servingSecrets, testPolicyDocument } from "../testing/policy.ts";
import { connectEnclave, createEnclave, stockProvision } from "../testing/stock-client.ts";
import { type BrokerService, type BrokerServiceOptions, logOrigin, makeIdentity, startBrokerService } from "./index.ts";

const DAY_MS = 86_400_000;
const protection: KeyProtection = {
  create: async () => ({
    head: { kind: "passphrase", salt: "" },
    master: await protection.open({ kind: "passphrase", salt: "" }),
  }),
  open: async () => new Secret(new Uint8Array(64).fill(7), "master key"),
};

interface Setup {
  readonly platform: SimulatedPlatform;
  readonly options: BrokerServiceOptions;
  readonly events: BrokerEvent[];
  readonly writePolicy: (overrides?: Record<string, unknown>) => Promise<void>;
  readonly start: (changes?: Partial<BrokerServiceOptions>) => Promise<BrokerService>;
  readonly provision: (service: BrokerService) => Promise<Buffer | undefined>;
}

/** `platformMadeAt` is when the platform's certificates were made. */
async function setUp(t: TestContext, platformMadeAt = Date.now()): Promise<Setup> {
  const folder = await mkdtemp(join(tmpdir(), "service-"));
  t.after(() => rm(folder, { recursive: true }));
  const platform = createSimulatedPlatform({ now: new Date(platformMadeAt) });
  const policyFile = join(folder, "policy.json");
  const writePolicy = (overrides: Record<string, unknown> = {}): Promise<void> =>
    writeFile(
      policyFile,
      JSON.stringify(testPolicyDocument(platform, { secrets: { keyId: "models/digits/1" }, ...overrides })),
    );
  await writePolicy();
  const stateDir = join(folder, "state");
  const events: BrokerEvent[] = [];
  const options: BrokerServiceOptions = {
    listen: { host: "127.0.0.1", port: 0 },
    health: { host: "127.0.0.1", port: 0 },
    stateDir,
    protection,
    policyFile,
    serverNames: ["broker.test"],
    collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
    anchors: [platform.trustAnchor],
    onEvent: (event) => events.push(event),
    intervals: { filesMs: 20, certificateMs: 20 },
  };
  const start = async (changes: Partial<BrokerServiceOptions> = {}): Promise<BrokerService> => {
    const service = await startBrokerService({ ...options, ...changes });
    t.after(() => service.close(50));
    return service;
  };
  const provision = async ({ address, authority }: BrokerService): Promise<Buffer | undefined> => {
    const socket = await connectEnclave(
      { port: address.port, ca: authority },
      await createEnclave(platform, { notBefore: new Date(platformMadeAt) }),
    );
    return stockProvision(socket, "1.9");
  };
  return { options, platform, events, writePolicy, start, provision };
}

const PATIENCE_MS = 60_000;

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !condition();) {
    assert.ok(performance.now() < end, "what the test waits for did not happen within a minute");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const get = async (service: BrokerService, path: string): Promise<{ status: number; text: string }> => {
  const response = await fetch(`http://127.0.0.1:${service.health?.port ?? 0}${path}`);
  return { status: response.status, text: await response.text() };
};

test("a service makes its authority and log once, serves from its files, and goes on after a restart", async (t) => {
  const { options, start, provision } = await setUp(t);
  const first = await start();
  assert.equal(await provision(first), undefined, "there is no key yet");
  const keys = await KeyStore.open({ path: join(options.stateDir, "keys.json"), protection });
  await keys.generate("models/digits/1");
  assert.deepEqual(await provision(first), Buffer.from((await keys.secret("models/digits/1")).reveal()));
  await keys.rotate("models/digits/1", 3600);
  assert.deepEqual(await provision(first), Buffer.from((await keys.secret("models/digits/1@2")).reveal()));
  await keys.revoke("models/digits/1");
  assert.equal(await provision(first), undefined, "a revocation takes effect at once");
  await first.close();

  const second = await start();
  assert.equal(second.authority, first.authority);
  assert.equal(await readFile(join(options.stateDir, "ca.pem"), "utf8"), first.authority);
  const ids: (string | null)[] = [];
  await verifyReleaseLogFile(join(options.stateDir, "release.log"), {
    origin: logOrigin("broker.test"),
    publicKey: createPublicKey(second.logKey),
    onEntry: ({ keyId }) => ids.push(keyId),
  });
  assert.deepEqual(ids, ["models/digits/1", "models/digits/1@1", "models/digits/1@2", "models/digits/1"]);
});

test("a changed policy file takes effect by itself, and a bad one raises an alarm and changes nothing", async (t) => {
  const { options, events, writePolicy, start, provision } = await setUp(t);
  const service = await start();
  await (await KeyStore.open({ path: join(options.stateDir, "keys.json"), protection })).generate("models/digits/1");
  await writeFile(options.policyFile, '{"schema": "cloister-policy/1", "workloads": true}');
  await until(() => events.some((event) => event.type === "alarm" && event.code === "POLICY_REJECTED"));
  assert.ok(await provision(service), "the last good policy stays");
  await rm(options.policyFile);
  await until(() => events.filter((event) => event.type === "alarm").length === 2);
  assert.ok(await provision(service), "also while there is no file");
  await writePolicy({ identities: [{ tee: "sgx", mrenclave: "00".repeat(32) }] });
  await until(() => events.some((event) => event.type === "policy"));
  assert.equal(await provision(service), undefined);
  assert.equal(await service.reloadPolicy(), true);
});

/** A service whose clock starts a hundred days ago, because its peers' clocks cannot be put forward. */
async function setUpPast(t: TestContext) {
  const time = { now: Date.now() - 100 * DAY_MS };
  const setup = await setUp(t, time.now);
  const served = { ageMs: 0 };
  const pccs = await startSimulatedPccs(setup.platform, { clock: () => new Date(time.now - served.ageMs) });
  t.after(() => pccs.close());
  const changes: Partial<BrokerServiceOptions> = {
    clock: () => new Date(time.now),
    certificateDays: 365,
    collateral: { service: pccs.service, retries: 0, negativeMs: 0 },
    intervals: { filesMs: 1000, certificateMs: 1_000_000, collateralMs: 20 },
  };
  const makeKey = async (): Promise<void> => {
    const keys = await KeyStore.open({ path: join(setup.options.stateDir, "keys.json"), protection });
    await keys.generate("models/digits/1");
  };
  return { ...setup, time, served, pccs, makeKey, start: () => setup.start(changes) };
}

const outcomes = (events: readonly BrokerEvent[]): string[] =>
  events.flatMap((event) => (event.type === "collateral" ? [event.outcome] : []));

test("collateral is fetched once, kept over a restart, and fetched again before it expires without a request", async (t) => {
  const { time, pccs, events, makeKey, start, provision } = await setUpPast(t);
  const first = await start();
  await makeKey();
  const fetches = (): number => outcomes(events).filter((outcome) => outcome === "fetched").length;
  const expiry = async (): Promise<number> => {
    const { text } = await get(first, "/metrics");
    return Number(/cloister_broker_collateral_expiry_seconds\{tee="sgx".*\} (\d+)/.exec(text)?.[1]) * 1000;
  };
  assert.ok(await provision(first));
  assert.ok(await provision(first));
  assert.equal(fetches(), 1);
  const firstExpiry = await expiry();
  assert.ok(firstExpiry > time.now);
  time.now += 20 * DAY_MS;
  await until(() => fetches() === 2);
  assert.ok((await expiry()) > firstExpiry);
  await first.close();
  await pccs.close();

  const second = await start();
  assert.ok(await provision(second), "while the service is down the kept set is good");
  time.now += 20 * DAY_MS;
  await until(() => outcomes(events).includes("fetch-refused"));
  assert.ok(await provision(second));
  time.now += 20 * DAY_MS;
  assert.equal(await provision(second), undefined, "but never beyond its expiry");
});

test("collateral that goes back raises an alarm, and what was there stays", async (t) => {
  const { time, served, events, makeKey, start, provision } = await setUpPast(t);
  const service = await start();
  await makeKey();
  assert.ok(await provision(service));
  time.now += 20 * DAY_MS;
  served.ageMs = 25 * DAY_MS;
  await until(() => events.some((event) => event.type === "alarm" && event.code === "COLLATERAL_ROLLED_BACK"));
  assert.ok(await provision(service));
});

test("a policy that is bad at the start ends the start, and nothing listens", async (t) => {
  const { options, start } = await setUp(t);
  await writeFile(options.policyFile, '{"schema": "cloister-policy/1", "workloads": true}');
  await assert.rejects(start(), { code: "POLICY_MALFORMED" });
  await writeFile(options.policyFile, "{");
  await assert.rejects(start(), { code: "POLICY_FILE_UNREADABLE", message: /it is no JSON/ });
  await rm(options.policyFile);
  await assert.rejects(start(), { code: "POLICY_FILE_UNREADABLE", message: /the system says ENOENT/ });
});

test("a policy that this broker can never serve is refused at the start and when it changes", async (t) => {
  const { events, writePolicy, start } = await setUp(t);
  const authority = createTestAuthority().certificatePem;
  const bundles = { bundle: () => Promise.reject(new Error("not asked for")) };
  await writePolicy({ secrets: servingSecrets(1) });
  await assert.rejects(start({ clientCa: authority }), { code: "BUNDLES_MISSING" });
  await assert.rejects(start({ bundles }), {
    code: "CLIENT_CA_MISSING",
    message: /workloads\.0.*--client-ca.*clientVerify: false/,
  });
  await (await start({ bundles, clientCa: authority })).close();
  const oneWay = { ...servingSecrets(1), serving: { dnsNames: ["localhost"], clientVerify: false } };
  await writePolicy({ secrets: oneWay });
  const service = await start({ bundles });
  await writePolicy({ secrets: servingSecrets(1) });
  assert.equal(await service.reloadPolicy(), false);
  assert.ok(events.some((event) => event.type === "alarm" && event.reason.includes("--client-ca")));
  await writePolicy();
  assert.equal(await service.reloadPolicy(), true);
});

test("a broker whose first name was changed says which name its log has, and opens it with both", async (t) => {
  const { start } = await setUp(t);
  await (await start()).close();
  await assert.rejects(start({ serverNames: ["new.test"] }), {
    code: "BROKER_NAME_CHANGED",
    message: /broker\.test\/release-log.*new\.test\/release-log.*give broker\.test first/,
  });
  await start({ serverNames: ["broker.test", "new.test"] });
  await assert.rejects(start({ serverNames: ["no name"] }), { code: "BROKER_OPTIONS_INVALID" });
});

test("a port that is taken is a refusal with a code, and no alarm", async (t) => {
  const { events, start } = await setUp(t);
  const { address, health } = await start();
  assert.ok(health !== undefined);
  const stateDir = await mkdtemp(join(tmpdir(), "service-"));
  t.after(() => rm(stateDir, { recursive: true }));
  await assert.rejects(start({ stateDir, listen: address }), { code: "LISTEN_FAILED", message: /EADDRINUSE/ });
  await assert.rejects(start({ stateDir, health }), { code: "LISTEN_FAILED", message: /EADDRINUSE/ });
  assert.deepEqual(events, []);
});

test("an identity made before there is a policy is the one that the broker has later", async (t) => {
  const { options, start } = await setUp(t);
  const made = await makeIdentity(options);
  assert.deepEqual(await makeIdentity(options), made, "the second time makes nothing");
  const service = await start();
  assert.deepEqual({ authority: service.authority, logKey: service.logKey }, made);
});

test("liveness, readiness and metrics are on a listener of their own", async (t) => {
  const { start, provision } = await setUp(t);
  let now = Date.now();
  const service = await start({ clock: () => new Date(now), intervals: { filesMs: 1000, certificateMs: 1_000_000 } });
  await provision(service);
  assert.deepEqual(await get(service, "/livez"), { status: 200, text: "ok\n" });
  assert.deepEqual(await get(service, "/readyz"), { status: 200, text: "ok\n" });
  const metrics = await get(service, "/metrics");
  assert.ok(metrics.text.includes('cloister_broker_refusals_total{code="KEY_UNAVAILABLE",simulated="true"} 1'));
  assert.ok(metrics.text.includes("cloister_broker_log_entries 1"));
  assert.equal((await get(service, "/keys")).status, 404);
  now += 31 * DAY_MS;
  assert.deepEqual(await get(service, "/readyz"), { status: 503, text: "BROKER_CERTIFICATE_EXPIRED\n" });
});

test("the broker's certificate is renewed before it ends, and open connections live on", async (t) => {
  const { options, events, start, provision } = await setUp(t);
  // Clients go by the real time: the broker starts in the past and then comes to the present.
  let now = Date.now() - 2 * DAY_MS - 1000;
  const service = await start({ clock: () => new Date(now), certificateDays: 3 });
  await (await KeyStore.open({ path: join(options.stateDir, "keys.json"), protection })).generate("models/digits/1");
  const serialNow = async (): Promise<string> => {
    const socket = connect({ port: service.address.port, ca: service.authority, servername: "broker.test" });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const old = connect({ port: service.address.port, ca: service.authority, servername: "broker.test" });
  await new Promise((resolve) => old.once("secureConnect", resolve));
  const before = await serialNow();
  now += 2 * DAY_MS + 1000;
  await until(() => events.some((event) => event.type === "certificate"));
  assert.notEqual(await serialNow(), before);
  assert.ok(await provision(service));
  const answer = new Promise<Buffer>((resolve) => old.once("data", resolve));
  old.write("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
  assert.ok((await answer).includes("CERTIFICATE_MISSING"), "the old connection is still served");
  old.destroy();
});
