import assert from "node:assert/strict";
import { test } from "node:test";
import { connectPostgres } from "./postgres/connection.ts";
import { parseStoreUrl } from "./store-url.ts";

test("an address names host, port, database and user", () => {
  assert.deepEqual(parseStoreUrl("postgresql://broker@db.example:5433/keys"), {
    host: "db.example",
    port: 5433,
    database: "keys",
    user: "broker",
  });
  assert.deepEqual(parseStoreUrl("postgres://[::1]/"), { host: "::1", database: "cloister", user: "cloister" });
  assert.deepEqual(parseStoreUrl("postgresql:///keys?host=/run/postgresql&user=broker"), {
    host: "/run/postgresql",
    database: "keys",
    user: "broker",
  });
});

const refused = [
  "db.example/keys",
  "mysql://db.example/keys",
  "postgresql:///keys",
  "postgresql://broker:secret@db.example/keys",
  "postgresql://db.example/keys?password=secret",
  "postgresql://db.example/keys?sslmode=disable",
];
for (const url of refused) {
  test(`${url} is STORE_OPTIONS_INVALID`, () => {
    assert.throws(() => parseStoreUrl(url), { code: "STORE_OPTIONS_INVALID" });
  });
}

test("no connection to another machine is tried without a CA for its certificate", async () => {
  const settings = parseStoreUrl("postgresql://db.example/keys");
  await assert.rejects(connectPostgres(settings), { code: "STORE_OPTIONS_INVALID" });
});
