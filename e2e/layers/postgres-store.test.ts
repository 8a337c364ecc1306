import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { followPolicies, openStore } from "@cloister/broker/store";
import { REFUSE_ALL } from "@cloister/policy";
import { PostgresConnection } from "../../packages/broker/src/store/postgres/connection.ts";
import { logEntry } from "../support/log-entry.ts";
import { startPostgres } from "../support/postgres.ts";
import { openTestStore, storeSuite, verifyEverything } from "../support/store-suite.ts";

// The store on a real PostgreSQL server: what every store does, then what only a server can do to its clients.

storeSuite("PostgreSQL", startPostgres);

test("entries and checkpoints that are changed by accident are refused by the database itself", async (t) => {
  const database = await startPostgres(t);
  await (await openTestStore(database)).close();
  await assert.rejects(database.guarded("DELETE FROM entries"), /only grows/);
  await assert.rejects(database.guarded("TRUNCATE checkpoints"), /only grows/);
});

test("a switch of the policy is heard of without the look every half second, and found by it without the connection", async (t) => {
  const database = await startPostgres(t);
  const store = await openTestStore(database);
  t.after(() => store.close());
  const listening = Promise.withResolvers<void>();
  await store.policies.listen(listening.resolve);
  await store.policies.activate(REFUSE_ALL);
  await listening.promise;
  const ending = new AbortController();
  t.after(() => ending.abort());
  const followed = Promise.withResolvers<number>();
  void followPolicies(store.policies, {
    onPolicy: ({ sequence }) => sequence === 2 && followed.resolve(sequence),
    signal: ending.signal,
  });
  await database.guarded("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
  await store.policies.activate(REFUSE_ALL);
  assert.equal(await followed.promise, 2);
});

test("the server's crash rejects the append and nothing else: the log goes on when the server is back", async (t) => {
  const database = await startPostgres(t);
  const [a, b] = [await openTestStore(database), await openTestStore(database)];
  t.after(() => Promise.all([a.close(), b.close()]));
  const proofs = [await a.log.append(logEntry(0)), await b.log.append(logEntry(1))];
  const crashing = Promise.allSettled(
    Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? a : b).log.append(logEntry(100 + i))),
  );
  await database.stop("immediate");
  for (const outcome of await crashing) {
    if (outcome.status === "fulfilled") proofs.push(outcome.value);
    else assert.equal((outcome.reason as { code: string }).code, "LOG_WRITE_FAILED");
  }
  await assert.rejects(a.log.append(logEntry(2)), { code: "LOG_WRITE_FAILED" });
  await database.start();
  // For a moment after a failed attempt no other is made.
  await sleep(500);
  proofs.push(await a.log.append(logEntry(3)), await b.log.append(logEntry(4)));
  await verifyEverything(database, a, proofs);
  await verifyEverything(database, b, proofs);
});

test("a writer that stops in the middle of a transaction holds the others up for seconds, not for ever", async (t) => {
  const database = await startPostgres(t);
  const store = await openTestStore(database);
  t.after(() => store.close());
  const holder = database.guarded("BEGIN; SELECT * FROM cloister.head FOR UPDATE; SELECT pg_sleep(2); COMMIT");
  await sleep(200);
  const startedAt = Date.now();
  await store.log.append(logEntry(0));
  assert.ok(Date.now() - startedAt > 1000);
  await holder;
  const long = database.guarded("BEGIN; SELECT * FROM cloister.head FOR UPDATE; SELECT pg_sleep(7); COMMIT");
  await sleep(200);
  await assert.rejects(store.log.append(logEntry(1)), { code: "LOG_WRITE_FAILED" });
  await long;
  await store.log.append(logEntry(2));
});

test("a database that does not answer costs those who wait one time-out together, not one each", async (t) => {
  const silent = createServer(() => undefined);
  t.after(() => silent.close());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const connection = new PostgresConnection({ host: "127.0.0.1", port, database: "postgres", user: "cloister" });
  const startedAt = Date.now();
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => connection.query("SELECT 1")));
  for (const outcome of outcomes) {
    assert.equal(outcome.status === "rejected" && (outcome.reason as { code: string }).code, "STORE_UNAVAILABLE");
  }
  assert.ok(Date.now() - startedAt < 8000);
});

test("a server that may lose what it acknowledged is STORE_NOT_DURABLE, and another machine without a CA is refused", async (t) => {
  const database = await startPostgres(t);
  await database.guarded("ALTER SYSTEM SET fsync = off");
  await database.guarded("SELECT pg_reload_conf()");
  await sleep(300);
  const { settings } = database;
  await assert.rejects(openStore(settings), { code: "STORE_NOT_DURABLE" });
  const remote = { ...settings, host: "db.example" };
  await assert.rejects(openStore(remote), { code: "STORE_OPTIONS_INVALID" });
  const absent = { ...settings, host: "/nonexistent" };
  await assert.rejects(openStore(absent), { code: "STORE_UNAVAILABLE" });
});
