import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { KeyStore, passphraseProtection } from "@cloister/broker";
import {
  type BrokerStore,
  followPolicies,
  openStore,
  type StoredLog,
  type StoreSettings,
  verifyStoredLog,
} from "@cloister/broker/store";
import { Secret } from "@cloister/encoding";
import { parsePolicy, type Policy, policySha256 } from "@cloister/policy";
import { type LogProof, verifyCheckpoint, verifyContinuation, verifyLogProof } from "@cloister/release-log";
import { logEntry } from "./log-entry.ts";
import { mountSmallDisk } from "./small-disk.ts";

// What holds for every store that brokers share, without any broker in front of it. SQLite and PostgreSQL run the same cases.

/** A database of this test alone. */
export interface TestStore {
  readonly settings: StoreSettings;
  /** On the same disk as the database. */
  readonly folder: string;
  /** Statements of whoever has the database, past the triggers that guard against accidents. Resolves with the first value. */
  admin(sql: string): Promise<string>;
  /** What stands for a full disk where none can be made. */
  refuseWrites(refuse: boolean): Promise<void>;
  /** All that the database has on its disk or hands out, a character a byte. */
  dump(): Promise<string>;
  /** SQL: hexadecimal digits of a column of bytes, and bytes from digits. */
  readonly sql: { hex(column: string): string; bytes(digits: string): string };
}

export const origin = "test/store";
export const { privateKey: signingKey, publicKey } = generateKeyPairSync("ed25519");
const passphrase = new Secret(Buffer.from("correct horse battery staple"), "passphrase");

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

export type OpenedStore = BrokerStore & StoredLog;

export async function openTestStore({ settings }: TestStore, key = signingKey): Promise<OpenedStore> {
  const store = await openStore(settings);
  try {
    return { ...store, ...(await store.openLog({ origin, signingKey: key })) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Holds every proof and checkpoint that was given out against the log as it is now. */
export async function verifyEverything({ settings }: TestStore, store: OpenedStore, proofs: readonly LogProof[]) {
  await verifyStoredLog(settings, { origin, publicKey, everyCheckpoint: true });
  await store.log.refresh();
  const newest = verifyCheckpoint(store.log.checkpoint, { origin, publicKey });
  for (const proof of proofs) {
    const { checkpoint } = verifyLogProof(proof, { origin, publicKey });
    verifyContinuation(checkpoint, newest, store.log.consistencyPath(checkpoint.size));
  }
  return newest.size;
}

async function until(isDone: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !(await isDone()); await sleep(50)) assert.ok(Date.now() < end, what);
}

/** Runs the cases against the database that `start` makes; in the folder `parent`, where one is given. */
export function storeSuite(kind: string, start: (t: TestContext, parent?: string) => Promise<TestStore>): void {
  async function openStores(t: TestContext, count: number): Promise<{ database: TestStore; stores: OpenedStore[] }> {
    const database = await start(t);
    const opened = async (): Promise<OpenedStore> => {
      const store = await openTestStore(database);
      t.after(() => store.close());
      return store;
    };
    const opening = Array.from({ length: count }, opened);
    // All of them, so that each is closed where one fails.
    await Promise.allSettled(opening);
    return { database, stores: await Promise.all(opening) };
  }

  void test(`${kind}: two writers that open an empty database at the same moment make one consistent log`, async (t) => {
    const { database, stores } = await openStores(t, 2);
    const [a, b] = stores as [OpenedStore, OpenedStore];
    const proofs: LogProof[] = [];
    for (let round = 0; round < 20; round += 1) {
      const batch = Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? a : b).log.append(logEntry(round * 30 + i)));
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

  void test(`${kind}: of two writers that release to one key at the same moment one is LOG_ALREADY_RELEASED`, async (t) => {
    const { database, stores } = await openStores(t, 2);
    for (let key = 0; key < 50; key += 1) {
      const outcomes = await Promise.allSettled(
        [...stores, ...stores].map((store) => store.log.append(logEntry(key), { unlessReleased: true })),
      );
      const refused = outcomes.filter((outcome) => outcome.status === "rejected");
      assert.equal(refused.length, 3);
      for (const { reason } of refused) assert.equal((reason as { code: string }).code, "LOG_ALREADY_RELEASED");
    }
    assert.equal((await verifyStoredLog(database.settings, { origin, publicKey })).size, 50);
  });

  void test(`${kind}: after a switch of the policy no release under the former one is taken, and both followers see it`, async (t) => {
    const { stores } = await openStores(t, 2);
    const [a, b] = stores as [OpenedStore, OpenedStore];
    const seen: string[][] = [[], []];
    const ending = new AbortController();
    t.after(() => ending.abort());
    for (const [i, { policies }] of stores.entries()) {
      const onPolicy = ({ sha256 }: { sha256: string }): void => void seen[i]?.push(sha256);
      void followPolicies(policies, { onPolicy, signal: ending.signal });
    }
    const [one, two] = [policyNamed("one"), policyNamed("two")];
    await a.policies.activate(one);
    await b.log.append(logEntry(1, policySha256(one)));
    const appends = Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => b.log.append(logEntry(10 + i, policySha256(one)))),
    );
    await b.policies.activate(two);
    await appends;
    await assert.rejects(a.log.append(logEntry(200, policySha256(one))), { code: "LOG_POLICY_SUPERSEDED" });
    await a.log.append({ ...logEntry(201, policySha256(one)), decision: "refused", codes: ["POLICY_CHANGED"] });
    await a.log.append(logEntry(202, policySha256(two)));
    await until(() => seen.every((list) => list.at(-1) === policySha256(two)), "both follow");
    await a.policies.activate(one);
    await until(() => seen.every((list) => list.at(-1) === policySha256(one)), "both follow again");
  });

  void test(`${kind}: a policy that somebody with access to the database alone puts in place is not taken`, async (t) => {
    const { database, stores } = await openStores(t, 2);
    const [a, b] = stores as [OpenedStore, OpenedStore];
    await a.policies.activate(policyNamed("one"));
    await a.policies.activate(policyNamed("two"));
    const good = await database.admin("SELECT policy_sha256 FROM head");
    const first = policySha256(policyNamed("one"));
    await database.admin(`UPDATE head SET policy_sha256 = '${first}', policy_sequence = 3`);
    await assert.rejects(b.policies.current(), { code: "STORE_DAMAGED" });
    await database.admin(`UPDATE head SET policy_sha256 = '${good}', policy_sequence = 2`);
    assert.equal((await b.policies.current())?.policy.workloads[0]?.name, "two");
    await database.admin("UPDATE policies SET document = replace(document, 'two', 'owt')");
    await assert.rejects(b.policies.current(), { code: "STORE_DAMAGED" });
    await database.admin("UPDATE head SET policy_sha256 = NULL, policy_sequence = 0, policy_signature = NULL");
    await assert.rejects(b.policies.current(), { code: "STORE_DAMAGED" });
  });

  void test(`${kind}: a log that was cut, changed or signed by another is refused by writers and found by verification`, async (t) => {
    const { database, stores } = await openStores(t, 1);
    const [store] = stores as [OpenedStore];
    for (let i = 0; i < 5; i += 1) await store.log.append(logEntry(i));
    const seen = store.log.checkpoint;
    const entry = `(SELECT ${database.sql.hex("entry")} FROM entries WHERE leaf_index = 2)`;
    const good = await database.admin(`SELECT ${entry}`);
    const put = (digits: string) =>
      database.admin(`UPDATE entries SET entry = ${database.sql.bytes(digits)} WHERE leaf_index = 2`);
    const digit = good[140] === "3" ? "4" : "3";
    await put(`${good.slice(0, 140)}${digit}${good.slice(141)}`);
    await assert.rejects(verifyStoredLog(database.settings, { origin, publicKey }));
    await put(good);
    await verifyStoredLog(database.settings, { origin, publicKey, seen, everyCheckpoint: true });
    const note = await database.admin("SELECT note FROM checkpoints WHERE size = 3");
    await database.admin("UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 2) WHERE size = 3");
    await assert.rejects(verifyStoredLog(database.settings, { origin, publicKey, everyCheckpoint: true }), {
      code: "LOG_CORRUPT",
    });
    await database.admin(`UPDATE checkpoints SET note = '${note}\n' WHERE size = 3`);
    await database.admin("DELETE FROM served_keys WHERE leaf_index = 3");
    await assert.rejects(verifyStoredLog(database.settings, { origin, publicKey }), { code: "LOG_CORRUPT" });

    // An older state of the database, whole and well signed: only who has seen more can tell.
    await database.admin(`
      DELETE FROM entries WHERE leaf_index >= 4; DELETE FROM checkpoints WHERE size > 4;
      DELETE FROM served_keys WHERE leaf_index >= 3;
      INSERT INTO served_keys VALUES ('${"3".padStart(64, "0")}', 3);
      UPDATE head SET size = 4, checkpoint = (SELECT note FROM checkpoints WHERE size = 4)`);
    await assert.rejects(store.log.append(logEntry(9)), { code: "LOG_FORKED" });
    await verifyStoredLog(database.settings, { origin, publicKey });
    await assert.rejects(verifyStoredLog(database.settings, { origin, publicKey, seen }), { code: "LOG_FORKED" });

    const other = generateKeyPairSync("ed25519").privateKey;
    await assert.rejects(openTestStore(database, other), {
      code: "LOG_SIGNATURE_INVALID",
    });
  });

  void test(`${kind}: a database whose disk is full takes nothing, loses nothing, and goes on when there is room again`, async (t) => {
    const disk = await mountSmallDisk(t, 160);
    t.diagnostic(disk === undefined ? "injected: a database that refuses writes" : "real: a tmpfs of 160 MB");
    const database = await start(t, disk);
    const store = await openTestStore(database);
    t.after(() => store.close());
    const proofs = [await store.log.append(logEntry(0))];
    const ballast = join(database.folder, "ballast");
    if (disk === undefined) await database.refuseWrites(true);
    else await writeFile(ballast, Buffer.alloc(160 << 20)).catch(() => undefined);

    let isFull = false;
    for (let i = 1; !isFull; i += 100) {
      for (const outcome of await Promise.allSettled(
        Array.from({ length: 100 }, (_, k) => store.log.append(logEntry(i + k))),
      )) {
        if (outcome.status === "fulfilled") proofs.push(outcome.value);
        else assert.equal((outcome.reason as { code: string }).code, "LOG_WRITE_FAILED");
        isFull ||= outcome.status === "rejected";
      }
    }
    if (disk === undefined) await database.refuseWrites(false);
    else await unlink(ballast);
    await until(async () => {
      const proof = await store.log.append(logEntry(1_000_000)).catch(() => undefined);
      if (proof !== undefined) proofs.push(proof);
      return proof !== undefined;
    }, "the log goes on");
    await verifyEverything(database, store, proofs);
  });

  void test(`${kind}: keys are shared, a revocation counts for the next read, and the database never holds one in the clear`, async (t) => {
    const { database, stores } = await openStores(t, 2);
    const open = (store: OpenedStore) =>
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
    for (const { keyStorage: storage } of stores) {
      await assert.rejects(KeyStore.open({ storage, protection: wrong }), { code: "KEY_STORE_LOCKED" });
    }
    await database.admin("CREATE TABLE kept AS SELECT * FROM documents");
    await a.generate("digits/5");
    await b.secret("digits/5");
    await database.admin("UPDATE documents AS d SET version = d.version + 1, content = k.content FROM kept AS k");
    await assert.rejects(b.secret("digits/2"), { code: "KEY_STORE_DAMAGED" });
    await database.admin("UPDATE documents SET version = 1");
    await assert.rejects(b.secret("digits/2"), { code: "STORE_DAMAGED" });
    await database.admin("DELETE FROM documents");
    await assert.rejects(b.secret("digits/2"), { code: "STORE_DAMAGED" });
  });
}
