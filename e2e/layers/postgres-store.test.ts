import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { unlink, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { KeyStore, passphraseProtection } from "@cloister/broker";
import {
  followPolicies,
  openPostgresStore,
  type PostgresStore,
  type SharedLog,
  verifyPostgresLog,
} from "@cloister/broker/store";
import { Secret } from "@cloister/encoding";
import { parsePolicy, type Policy, policySha256 } from "@cloister/policy";
import {
  type LogEntry,
  type LogProof,
  verifyCheckpoint,
  verifyContinuation,
  verifyLogProof,
} from "@cloister/release-log";
import { Connection } from "../../packages/broker/src/store/postgres/connection.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { startPostgres, type TestDatabase } from "../support/postgres.ts";

// The shared store against a real server: what holds without any broker in front of it.

const origin = "test/shared";
const { privateKey: signingKey, publicKey } = generateKeyPairSync("ed25519");
const passphrase = new Secret(Buffer.from("correct horse battery staple"), "passphrase");

const entry = (key: number, policySha256 = "cd".repeat(32)): LogEntry => ({
  time: new Date(Date.UTC(2026, 0, 1) + key).toISOString(),
  decision: "released",
  codes: [],
  workload: "digits",
  rule: "workloads.digits.identities.0",
  keyId: "digits/1",
  claims: { tee: "sgx", tcbStatus: "UpToDate" },
  claimsSha256: "ab".repeat(32),
  policySha256,
  peerKeySha256: key.toString(16).padStart(64, "0"),
  simulated: true,
});

const policyNamed = (name: string): Policy =>
  parsePolicy({
    schema: "cloister-policy/1",
    production: true,
    workloads: [
      {
        name,
        identities: [{ tee: "sgx", mrenclave: "11".repeat(32) }],
        platforms: [{ kind: "intel" }],
        secrets: { keyId: "digits/1" },
      },
    ],
  });

type OpenStore = PostgresStore & SharedLog;

async function openStore({ settings }: TestDatabase, key = signingKey): Promise<OpenStore> {
  const store = await openPostgresStore(settings);
  try {
    return { ...store, ...(await store.openLog({ origin, signingKey: key })) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openStores(t: TestContext, count: number): Promise<{ database: TestDatabase; stores: OpenStore[] }> {
  const database = await startPostgres(t);
  const stores = await Promise.all(Array.from({ length: count }, () => openStore(database)));
  t.after(() => Promise.all(stores.map((store) => store.close())));
  return { database, stores };
}

/** Holds every proof and checkpoint that was given out against the log as it is now. */
async function verifyEverything(database: TestDatabase, store: OpenStore, proofs: readonly LogProof[]) {
  await verifyPostgresLog(database.settings, { origin, publicKey });
  await store.log.refresh();
  const newest = verifyCheckpoint(store.log.checkpoint, { origin, publicKey });
  for (const proof of proofs) {
    const { checkpoint } = verifyLogProof(proof, { origin, publicKey });
    verifyContinuation(checkpoint, newest, store.log.consistencyPath(checkpoint.size));
  }
  return newest.size;
}

test("two writers that open an empty database at the same moment make one consistent log", async (t) => {
  const { database, stores } = await openStores(t, 2);
  const [a, b] = stores as [OpenStore, OpenStore];
  const proofs: LogProof[] = [];
  for (let round = 0; round < 20; round += 1) {
    const batch = Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? a : b).log.append(entry(round * 30 + i)));
    proofs.push(...(await Promise.all(batch)));
  }
  assert.equal(new Set(proofs.map((proof) => proof.leafIndex)).size, 600);
  assert.ok(new Set(proofs.map((proof) => proof.checkpoint)).size < 200, "appends that arrive together share one");
  assert.equal(await verifyEverything(database, a, proofs), 600);
  assert.equal(await verifyEverything(database, b, proofs), 600);
  const proof = await b.log.prove(17);
  assert.equal(verifyLogProof(proof, { origin, publicKey }).checkpoint.size, 600);
  let read = 0;
  for await (const { index, entry: one } of a.log.entries(590)) {
    assert.equal(index, 590 + read);
    assert.equal(one.decision, "released");
    read += 1;
  }
  assert.equal(read, 10);
});

test("of two writers that release to one key at the same moment one is LOG_ALREADY_RELEASED", async (t) => {
  const { database, stores } = await openStores(t, 2);
  for (let key = 0; key < 50; key += 1) {
    const outcomes = await Promise.allSettled(
      [...stores, ...stores].map((store) => store.log.append(entry(key), { unlessReleased: true })),
    );
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.equal(refused.length, 3);
    for (const { reason } of refused) assert.equal((reason as { code: string }).code, "LOG_ALREADY_RELEASED");
  }
  assert.equal((await verifyPostgresLog(database.settings, { origin, publicKey })).size, 50);
});

test("after a switch of the policy no release under the former one is taken, and both followers see it in time", async (t) => {
  const { database, stores } = await openStores(t, 2);
  const [a, b] = stores as [OpenStore, OpenStore];
  const seen: [string, number][][] = [[], []];
  const ending = new AbortController();
  t.after(() => ending.abort());
  for (const [i, { policies }] of stores.entries()) {
    const onPolicy = ({ sha256 }: { sha256: string }): void => void seen[i]?.push([sha256, Date.now()]);
    void followPolicies(policies, { onPolicy, signal: ending.signal });
  }
  const [one, two] = [policyNamed("one"), policyNamed("two")];
  await a.policies.activate(one);
  await b.log.append(entry(1, policySha256(one)));
  const appends = Promise.allSettled(
    Array.from({ length: 100 }, (_, i) => b.log.append(entry(10 + i, policySha256(one)))),
  );
  await b.policies.activate(two);
  const switchedAt = Date.now();
  await appends;
  await assert.rejects(a.log.append(entry(200, policySha256(one))), { code: "LOG_POLICY_SUPERSEDED" });
  await a.log.append({ ...entry(201, policySha256(one)), decision: "refused", codes: ["POLICY_CHANGED"] });
  await a.log.append(entry(202, policySha256(two)));
  await sleep(1000 - (Date.now() - switchedAt));
  for (const list of seen) {
    assert.equal(list.at(-1)?.[0], policySha256(two));
    assert.ok((list.at(-1)?.[1] ?? Infinity) - switchedAt < 1000);
  }

  // Without notifications polling finds it.
  await database.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
  await a.policies.activate(one);
  await sleep(1000);
  for (const list of seen) assert.equal(list.at(-1)?.[0], policySha256(one));
});

test("a policy that somebody with access to the database alone puts in place is not taken", async (t) => {
  const { database, stores } = await openStores(t, 2);
  const [a, b] = stores as [OpenStore, OpenStore];
  await a.policies.activate(policyNamed("one"));
  await a.policies.activate(policyNamed("two"));
  const good = await database.admin("SELECT policy_sha256 FROM cloister.head");
  const first = policySha256(policyNamed("one"));
  await database.admin(`UPDATE cloister.head SET policy_sha256 = '${first}', policy_sequence = 3`);
  await assert.rejects(b.policies.current(), { code: "STORE_DAMAGED" });
  await database.admin(`UPDATE cloister.head SET policy_sha256 = '${good}', policy_sequence = 2`);
  assert.equal((await b.policies.current())?.policy.workloads[0]?.name, "two");
  await database.admin("UPDATE cloister.policies SET document = replace(document, 'two', 'owt')");
  await assert.rejects(b.policies.current(), { code: "STORE_DAMAGED" });
  await database.admin("UPDATE cloister.head SET policy_sha256 = NULL, policy_sequence = 0, policy_signature = NULL");
  await assert.rejects(b.policies.current(), { code: "STORE_DAMAGED" });
});

test("a log that was cut, changed or signed by another is refused by writers and found by verification", async (t) => {
  const { database, stores } = await openStores(t, 1);
  const [store] = stores as [OpenStore];
  for (let i = 0; i < 5; i += 1) await store.log.append(entry(i));
  const seen = store.log.checkpoint;
  await assert.rejects(database.admin("DELETE FROM cloister.entries"), /only grows/);
  await assert.rejects(database.admin("TRUNCATE cloister.checkpoints"), /only grows/);

  const unguarded = (sql: string) => database.admin(`SET session_replication_role = replica; ${sql}`);
  await unguarded("UPDATE cloister.entries SET entry = entry || '' WHERE leaf_index = 2");
  await verifyPostgresLog(database.settings, { origin, publicKey, seen });
  await unguarded(
    "UPDATE cloister.entries SET entry = set_byte(entry, 70, get_byte(entry, 70) # 1) WHERE leaf_index = 2",
  );
  await assert.rejects(verifyPostgresLog(database.settings, { origin, publicKey }));
  await unguarded(
    "UPDATE cloister.entries SET entry = set_byte(entry, 70, get_byte(entry, 70) # 1) WHERE leaf_index = 2",
  );
  await unguarded("DELETE FROM cloister.served_keys WHERE leaf_index = 3");
  await assert.rejects(verifyPostgresLog(database.settings, { origin, publicKey }), { code: "LOG_CORRUPT" });

  // An older state of the database, whole and well signed: only who has seen more can tell.
  await unguarded(`
    DELETE FROM cloister.entries WHERE leaf_index >= 4; DELETE FROM cloister.checkpoints WHERE size > 4;
    DELETE FROM cloister.served_keys WHERE leaf_index >= 3;
    INSERT INTO cloister.served_keys SELECT lpad('3', 64, '0'), 3;
    UPDATE cloister.head SET size = 4, checkpoint = (SELECT note FROM cloister.checkpoints WHERE size = 4)`);
  await assert.rejects(store.log.append(entry(9)), { code: "LOG_FORKED" });
  await verifyPostgresLog(database.settings, { origin, publicKey });
  await assert.rejects(verifyPostgresLog(database.settings, { origin, publicKey, seen }), { code: "LOG_FORKED" });

  const other = generateKeyPairSync("ed25519").privateKey;
  await assert.rejects(openStore(database, other), {
    code: "LOG_SIGNATURE_INVALID",
  });
});

test("the server's crash rejects the append and nothing else: the log goes on when the server is back", async (t) => {
  const { database, stores } = await openStores(t, 2);
  const [a, b] = stores as [OpenStore, OpenStore];
  const proofs = [await a.log.append(entry(0)), await b.log.append(entry(1))];
  const crashing = Promise.allSettled(
    Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? a : b).log.append(entry(100 + i))),
  );
  await database.stop("immediate");
  for (const outcome of await crashing) {
    if (outcome.status === "fulfilled") proofs.push(outcome.value);
    else assert.equal((outcome.reason as { code: string }).code, "LOG_WRITE_FAILED");
  }
  await assert.rejects(a.log.append(entry(2)), { code: "LOG_WRITE_FAILED" });
  await database.start();
  // For a moment after a failed attempt no other is made.
  await sleep(500);
  proofs.push(await a.log.append(entry(3)), await b.log.append(entry(4)));
  await verifyEverything(database, a, proofs);
  await verifyEverything(database, b, proofs);
});

test("a database whose disk is full takes nothing, loses nothing, and goes on when there is room again", async (t) => {
  const disk = await mountSmallDisk(t, 160);
  t.diagnostic(disk === undefined ? "injected: a database that refuses writes" : "real: a tmpfs of 160 MB");
  const database = await startPostgres(t, disk);
  const store = await openStore(database);
  t.after(() => store.close());
  const proofs = [await store.log.append(entry(0))];
  const ballast = join(database.folder, "ballast");
  if (disk === undefined) await refuseWrites(database, true);
  else await writeFile(ballast, Buffer.alloc(160 << 20)).catch(() => undefined);

  let isFull = false;
  for (let i = 1; !isFull; i += 100) {
    for (const outcome of await Promise.allSettled(
      Array.from({ length: 100 }, (_, k) => store.log.append(entry(i + k))),
    )) {
      if (outcome.status === "fulfilled") proofs.push(outcome.value);
      else assert.equal((outcome.reason as { code: string }).code, "LOG_WRITE_FAILED");
      isFull ||= outcome.status === "rejected";
    }
  }
  if (disk === undefined) await refuseWrites(database, false);
  else await unlink(ballast);
  const until = Date.now() + 20_000;
  for (let isBack = false; !isBack; await sleep(100)) {
    assert.ok(Date.now() < until, "the log did not go on");
    const proof = await store.log.append(entry(1_000_000)).catch(() => undefined);
    isBack = proof !== undefined;
    if (proof !== undefined) proofs.push(proof);
  }
  await verifyEverything(database, store, proofs);
});

async function refuseWrites(database: TestDatabase, refuse: boolean): Promise<void> {
  await database.admin(`ALTER SYSTEM SET default_transaction_read_only = ${refuse ? "on" : "off"}`);
  await database.admin("SELECT pg_reload_conf()");
  await sleep(300);
}

test("a writer that stops in the middle of a transaction holds the others up for seconds, not for ever", async (t) => {
  const { database, stores } = await openStores(t, 1);
  const [store] = stores as [OpenStore];
  const holder = database.admin("BEGIN; SELECT * FROM cloister.head FOR UPDATE; SELECT pg_sleep(2); COMMIT");
  await sleep(200);
  const startedAt = Date.now();
  await store.log.append(entry(0));
  assert.ok(Date.now() - startedAt > 1000);
  await holder;
  const long = database.admin("BEGIN; SELECT * FROM cloister.head FOR UPDATE; SELECT pg_sleep(7); COMMIT");
  await sleep(200);
  await assert.rejects(store.log.append(entry(1)), { code: "LOG_WRITE_FAILED" });
  await long;
  await store.log.append(entry(2));
});

test("a database that does not answer costs those who wait one time-out together, not one each", async (t) => {
  const silent = createServer(() => undefined);
  t.after(() => silent.close());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const connection = new Connection({ host: "127.0.0.1", port, database: "postgres", user: "cloister" });
  const startedAt = Date.now();
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => connection.query("SELECT 1")));
  for (const outcome of outcomes) {
    assert.equal(outcome.status === "rejected" && (outcome.reason as { code: string }).code, "STORE_UNAVAILABLE");
  }
  assert.ok(Date.now() - startedAt < 8000);
});

test("keys are shared, a revocation counts for the next read, and the database never holds one in the clear", async (t) => {
  const { database, stores } = await openStores(t, 2);
  const open = (store: OpenStore) =>
    KeyStore.open({ storage: store.keyStorage, protection: passphraseProtection(passphrase) });
  const [a, b] = (await Promise.all(stores.map(open))) as [KeyStore, KeyStore];
  await a.generate("digits/1");
  await Promise.all([a.generate("digits/2"), b.generate("digits/3"), b.generate("digits/4")]);
  for (const id of ["digits/1", "digits/2", "digits/3", "digits/4"]) {
    const [left, right] = [await a.secret(id), await b.secret(id)];
    assert.deepEqual(left.reveal(), right.reveal());
    const bytes = Buffer.from(left.reveal());
    const dump = await database.dump();
    for (const form of ["hex", "base64", "latin1"] as const) assert.equal(dump.includes(bytes.toString(form)), false);
  }
  await a.revoke("digits/1");
  await assert.rejects(b.secret("digits/1"), { code: "KEY_REVOKED" });
  const wrong = passphraseProtection(new Secret(Buffer.from("another one"), "passphrase"));
  await assert.rejects(KeyStore.open({ storage: stores[0]!.keyStorage, protection: wrong }), {
    code: "KEY_STORE_LOCKED",
  });
  await database.admin("CREATE TABLE kept AS SELECT * FROM cloister.documents");
  await a.generate("digits/5");
  await b.secret("digits/5");
  await database.admin("UPDATE cloister.documents d SET version = d.version + 1, content = k.content FROM kept k");
  await assert.rejects(b.secret("digits/2"), { code: "KEY_STORE_DAMAGED" });
  await database.admin("UPDATE cloister.documents SET version = 1");
  await assert.rejects(b.secret("digits/2"), { code: "STORE_DAMAGED" });
  await database.admin("DELETE FROM cloister.documents");
  await assert.rejects(b.secret("digits/2"), { code: "STORE_DAMAGED" });
});

test("a server that may lose what it acknowledged is STORE_NOT_DURABLE, and another machine without a CA is refused", async (t) => {
  const database = await startPostgres(t);
  await database.admin("ALTER SYSTEM SET fsync = off");
  await database.admin("SELECT pg_reload_conf()");
  await sleep(300);
  const { settings } = database;
  await assert.rejects(openPostgresStore(settings), { code: "STORE_NOT_DURABLE" });
  const remote = { ...settings, host: "db.example" };
  await assert.rejects(openPostgresStore(remote), { code: "STORE_OPTIONS_INVALID" });
  const absent = { ...settings, host: "/nonexistent" };
  await assert.rejects(openPostgresStore(absent), { code: "STORE_UNAVAILABLE" });
});
