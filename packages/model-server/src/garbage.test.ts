import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { collectGarbage, receivedCounter } from "./garbage.ts";

const MIB = 1024 * 1024;

test("what sockets gave is collected behind each 24 MiB, not while a chunk is read", async () => {
  let collections = 0;
  const count = receivedCounter(() => collections++);
  for (let chunk = 0; chunk < 23; chunk++) count(MIB);
  await turn();
  assert.equal(collections, 0);
  count(MIB);
  assert.equal(collections, 0);
  await turn();
  assert.equal(collections, 1);
  for (let chunk = 0; chunk < 48; chunk++) count(MIB);
  await turn();
  assert.equal(collections, 3);
});

test("V8's collector can be called", () => {
  assert.equal(typeof collectGarbage, "function");
});
