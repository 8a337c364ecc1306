import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BrokerError } from "@cloister/broker/client";
import { verifyStoredLog } from "@cloister/broker/store";
import { verifyCheckpoint, verifyContinuation, verifyLogProof } from "@cloister/release-log";
import { createEnclave } from "../../packages/broker/src/testing/stock-client.ts";
import { ORIGIN, type StoreBroker, type StoreCluster, startStoreCluster } from "../support/store-cluster.ts";

// Two brokers, each a process of its own, on one PostgreSQL server.

type Served = Awaited<ReturnType<StoreCluster["provision"]>>;

/** Holds all that clients were given against the log: each release is in it, each checkpoint is one state of it. */
async function verifyServed({ database, log, logKey }: StoreCluster, served: readonly Served[]): Promise<void> {
  const expected = { origin: ORIGIN, publicKey: logKey };
  const released = new Set<string | null>();
  await verifyStoredLog(database.settings, {
    ...expected,
    onEntry: (entry) => entry.decision === "released" && released.add(entry.peerKeySha256),
  });
  await log.refresh();
  const newest = verifyCheckpoint(log.checkpoint, expected);
  for (const { logProof, peerKey } of served) {
    assert.ok(released.has(peerKey), "a key went out without an entry");
    const { checkpoint } = verifyLogProof(logProof, expected);
    verifyContinuation(checkpoint, newest, log.consistencyPath(checkpoint.size));
  }
}

/** As an enclave that starts does: again with a new RA-TLS key, until it is served. */
async function persist(cluster: StoreCluster, brokers: () => readonly StoreBroker[]): Promise<Served> {
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      return await cluster.provision(brokers());
    } catch (error) {
      if (!(error instanceof BrokerError) || Date.now() > until) throw error;
      await sleep(50);
    }
  }
}

async function twoBrokers(cluster: StoreCluster): Promise<[StoreBroker, StoreBroker]> {
  return Promise.all([cluster.startBroker(), cluster.startBroker()]);
}

test("two brokers serve the same key and one consistent log, and the database never sees the key", async (t) => {
  const cluster = await startStoreCluster(t);
  const [a, b] = await twoBrokers(cluster);
  const served = await Promise.all(
    Array.from({ length: 40 }, (_, i) => cluster.provision(i % 2 === 0 ? [a, b] : [b, a])),
  );
  assert.equal(new Set(served.map(({ wrapKey }) => Buffer.from(wrapKey.reveal()).toString("hex"))).size, 1);
  assert.deepEqual([...new Set(served.map(({ broker }) => broker.port))].sort(), [a.port, b.port].sort());
  assert.equal(new Set(served.map(({ logProof }) => logProof.leafIndex)).size, 40);
  await verifyServed(cluster, served);

  await cluster.database.stop("fast");
  const key = Buffer.from(served[0]!.wrapKey.reveal());
  const forms = [key, ...(["hex", "base64"] as const).map((encoding) => Buffer.from(key.toString(encoding)))];
  const data = join(cluster.database.folder, "data");
  let files = 0;
  for (const file of await readdir(data, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    files += 1;
    const content = await readFile(join(file.parentPath, file.name));
    for (const form of forms) assert.equal(content.includes(form), false, "the key is in a file of the database");
  }
  assert.ok(files > 100);
});

test("a client survives kill -9 of either broker, and no key is without its entry", async (t) => {
  const cluster = await startStoreCluster(t);
  let [a, b] = await twoBrokers(cluster);
  const served: Served[] = [];
  const client = async (): Promise<void> => {
    for (let i = 0; i < 12; i += 1) served.push(await persist(cluster, () => (i % 2 === 0 ? [a, b] : [b, a])));
  };
  const clients = Promise.all(Array.from({ length: 6 }, client));
  const reached = async (count: number): Promise<void> => {
    while (served.length < count) await sleep(5);
  };
  await reached(12);
  await a.kill();
  const withoutA = served.length;
  await reached(withoutA + 15);
  a = await cluster.startBroker();
  await reached(withoutA + 20);
  await b.kill();
  b = a;
  await clients;
  assert.equal(served.length, 72);
  await verifyServed(cluster, served);
});

test("without the database the brokers refuse, and they serve again when it is back", async (t) => {
  const cluster = await startStoreCluster(t);
  const [a, b] = await twoBrokers(cluster);
  const served = [await cluster.provision([a, b]), await cluster.provision([b, a])];

  // Connections that break are opened again without a word to clients, or cost one refusal.
  await cluster.database.admin(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
  );
  served.push(await persist(cluster, () => [a]), await persist(cluster, () => [b]));

  await cluster.database.stop("immediate");
  for (const broker of [a, b]) {
    await assert.rejects(cluster.provision([broker]), (error: unknown) => {
      assert.ok(error instanceof BrokerError);
      assert.equal(error.code, "PROVISIONING_REFUSED");
      assert.match(error.refusedFor.join(), /^(KEY|LOG)_UNAVAILABLE$/);
      return true;
    });
  }
  await cluster.database.start();
  served.push(await persist(cluster, () => [a]), await persist(cluster, () => [b]));
  await verifyServed(cluster, served);
});

test("of two brokers that are shown the same certificate at the same moment one releases", async (t) => {
  const cluster = await startStoreCluster(t);
  const brokers = await twoBrokers(cluster);
  const served: Served[] = [];
  for (let i = 0; i < 15; i += 1) {
    const enclave = await createEnclave(cluster.platform);
    const outcomes = await Promise.allSettled(
      [...brokers, ...brokers].map((broker) => cluster.provision([broker], enclave)),
    );
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") served.push(outcome.value);
      else assert.deepEqual((outcome.reason as BrokerError).refusedFor, ["CERTIFICATE_REPLAYED"]);
    }
    assert.equal(served.length, i + 1);
  }
  await verifyServed(cluster, served);
  const released = brokers.map(({ events }) => events.filter(({ type }) => type === "release").length);
  assert.equal(released[0]! + released[1]!, 15);
});

test("a policy switch and a revocation count for every broker from when they are done", async (t) => {
  const cluster = await startStoreCluster(t);
  const brokers = await twoBrokers(cluster);
  for (const broker of brokers) await cluster.provision([broker]);

  const refused = async (broker: StoreBroker, codes: RegExp): Promise<void> => {
    await assert.rejects(cluster.provision([broker]), (error: BrokerError) => {
      assert.match(error.refusedFor.join(), codes);
      return true;
    });
  };
  await cluster.policies.activate(cluster.policy(new Uint8Array(32).fill(7)));
  // The brokers may not know yet; the log does.
  await Promise.all(brokers.map((broker) => refused(broker, /^(POLICY_CHANGED|MEASUREMENT_NOT_ALLOWED)$/)));
  await sleep(1000);
  await Promise.all(brokers.map((broker) => refused(broker, /^MEASUREMENT_NOT_ALLOWED$/)));
  await cluster.policies.activate(cluster.policy());
  await sleep(1000);
  for (const broker of brokers) await cluster.provision([broker]);
  await cluster.keys.revoke("digits/1");
  await Promise.all(brokers.map((broker) => refused(broker, /^KEY_UNAVAILABLE$/)));
});
