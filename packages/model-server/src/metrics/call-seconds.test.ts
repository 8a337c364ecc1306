import assert from "node:assert/strict";
import { test } from "node:test";
import { CallSeconds } from "./call-seconds.ts";
import { MetricRegistry } from "./metric-registry.ts";

test("the seconds of calls add up, also of those that are not over", () => {
  let now = 0;
  const seconds = new CallSeconds(() => now);
  seconds.add(1);
  now = 1000;
  seconds.add(1);
  assert.equal(seconds.total, 1);
  now = 3000;
  assert.equal(seconds.total, 5);
  seconds.add(-1);
  seconds.add(-1);
  now = 9000;
  assert.equal(seconds.total, 5);
});

test("a computed counter is read when somebody looks", () => {
  const registry = new MetricRegistry();
  let value = 1.5;
  registry.computed("/cloister/call_seconds", () => value);
  assert.equal(registry.render(), "# TYPE :cloister:call_seconds counter\n:cloister:call_seconds 1.5\n");
  value = 2;
  assert.equal(registry.total("/cloister/call_seconds"), 2);
});
