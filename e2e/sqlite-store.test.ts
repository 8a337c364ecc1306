import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createHash } from "node:crypto";
import { stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openStore, verifyStoredLog } from "@cloister/broker/store";
import { startHarness } from "../packages/broker/src/testing/harness.ts";
import { connectEnclave, createEnclave, stockProvision } from "../packages/broker/src/testing/stock-client.ts";
import { logEntry } from "./support/log-entry.ts";
import { mountSmallDisk } from "./support/small-disk.ts";
import { startSqlite } from "./support/sqlite.ts";
import { openTestStore, origin, publicKey, signingKey, storeSuite, verifyEverything } from "./support/store-suite.ts";

// The store in a file: what every store does, then what a file has that a server has not.

const PROGRAM = fileURLToPath(new URL("support/sqlite-writer.ts", import.meta.url));

storeSuite("SQLite", startSqlite);

test("entries and checkpoints that are changed by accident are refused by the database itself", async (t) => {
  const database = await startSqlite(t);
  const store = await openTestStore(database);
  await store.log.append(logEntry(0));
  await store.close();
  assert.throws(() => database.guarded("DELETE FROM entries"), /only grows/);
  assert.throws(() => database.guarded("UPDATE checkpoints SET note = ''"), /only grows/);
});

test("kill -9 of one of two processes that append loses nothing that was acknowledged, and the other goes on", async (t) => {
  const database = await startSqlite(t);
  await (await openTestStore(database)).close();
  const pem = signingKey.export({ type: "pkcs8", format: "pem" }) as string;
  const acknowledged: string[] = [];
  const writers = [1, 2].map((number) => {
    const child = spawn(process.execPath, [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => child.kill("SIGKILL"));
    child.stdin.end(JSON.stringify({ settings: database.settings, origin, pem, first: number * 1_000_000 }));
    const lines = createInterface(child.stdout);
    const reached = (count: number): Promise<void> =>
      new Promise((resolve) => {
        let seen = 0;
        lines.on("line", (line) => {
          acknowledged.push(line);
          seen += 1;
          if (seen === count) resolve();
        });
      });
    return { child, reached, closed: once(child, "close") };
  });
  const [first, second] = writers as [(typeof writers)[0], (typeof writers)[0]];
  await Promise.all([first.reached(100), second.reached(100)]);
  first.child.kill("SIGKILL");
  await first.closed;
  await second.reached(100);
  second.child.kill("SIGKILL");
  await second.closed;

  const released = new Set<string | null>();
  await verifyStoredLog(database.settings, {
    origin,
    publicKey,
    everyCheckpoint: true,
    onEntry: (entry) => released.add(entry.peerKeySha256),
  });
  for (const key of acknowledged) assert.ok(released.has(key), "an acknowledged entry is gone");
  const store = await openTestStore(database);
  t.after(() => store.close());
  const proof = await store.log.append(logEntry(1));
  assert.equal(proof.leafIndex, released.size);
  await verifyEverything(database, store, [proof]);
});

test("a broker whose disk is full releases nothing, and goes on when there is room", async (t) => {
  const disk = await mountSmallDisk(t, 4);
  t.diagnostic(disk === undefined ? "injected: a database that refuses writes" : "real: a tmpfs of 4 MB");
  const database = await startSqlite(t, disk);
  const store = await openTestStore(database);
  const { server, platform } = await startHarness(t, () => ({ log: store.log }));
  t.after(() => store.close());
  const served: string[] = [];
  const attempt = async (): Promise<boolean> => {
    const enclave = await createEnclave(platform);
    if ((await stockProvision(await connectEnclave(server, enclave), "1.9")) === undefined) return false;
    served.push(
      createHash("sha256")
        .update(enclave.publicKey.export({ type: "spki", format: "der" }))
        .digest("hex"),
    );
    return true;
  };
  assert.equal(await attempt(), true);
  const ballast = join(database.folder, "ballast");
  if (disk === undefined) await database.refuseWrites(true);
  else await writeFile(ballast, Buffer.alloc(4 << 20)).catch(() => undefined);
  // The last pages may have room for a few entries more.
  for (let tries = 0; await attempt(); tries += 1) assert.ok(tries < 100, "the disk is never full");
  assert.equal(await attempt(), false);
  if (disk === undefined) await database.refuseWrites(false);
  else await unlink(ballast);
  assert.equal(await attempt(), true);
  const released: (string | null)[] = [];
  await verifyStoredLog(database.settings, {
    origin,
    publicKey,
    onEntry: ({ decision, peerKeySha256 }) => void (decision === "released" && released.push(peerKeySha256)),
  });
  assert.deepEqual(released.sort(), served.sort());
});

test("a writer that holds the database holds the others up until it lets go", async (t) => {
  const database = await startSqlite(t);
  const store = await openTestStore(database);
  t.after(() => store.close());
  const holder = new DatabaseSync(database.settings.path);
  t.after(() => holder.close());
  holder.exec("BEGIN IMMEDIATE");
  const waiting = store.log.append(logEntry(0));
  // Reading goes on meanwhile.
  assert.equal(await store.keyStorage.mark(), "");
  holder.exec("ROLLBACK");
  assert.equal((await waiting).leafIndex, 0);
});

test("the file is its owner's alone", async (t) => {
  const database = await startSqlite(t);
  const store = await openTestStore(database);
  t.after(() => store.close());
  await store.log.append(logEntry(0));
  const { path } = database.settings;
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test("a file of another program, or one that is no database, is refused and left as it is", async (t) => {
  const database = await startSqlite(t);
  const { path } = database.settings;
  const other = new DatabaseSync(path);
  other.exec("CREATE TABLE notes (text TEXT)");
  other.close();
  await assert.rejects(openStore(database.settings), { code: "STORE_OPTIONS_INVALID" });
  const text = `${path}.txt`;
  await writeFile(text, "not a database ".repeat(1000));
  await assert.rejects(openStore({ path: text }), { code: "STORE_DAMAGED" });
  assert.equal((await stat(text)).size, 15_000);
});

test("a store that is not there is not made by who only verifies", async (t) => {
  const { folder } = await startSqlite(t);
  const path = `${folder}/none.db`;
  await assert.rejects(verifyStoredLog({ path }, { origin, publicKey }), { code: "STORE_UNAVAILABLE" });
  await assert.rejects(stat(path), { code: "ENOENT" });
});
