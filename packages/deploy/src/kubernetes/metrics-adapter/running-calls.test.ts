import assert from "node:assert/strict";
import { test } from "node:test";
import { RunningCalls } from "./running-calls.ts";

const counters = (seconds: number, running: number): string =>
  `:cloister:call_seconds ${seconds}\n:cloister:running_calls ${running}\n`;

function setUp() {
  const clock = { ms: 0 };
  return { clock, calls: new RunningCalls(() => clock.ms) };
}

test("the average since the last look counts, not what runs at the moment", () => {
  const { clock, calls } = setUp();
  assert.equal(calls.observe("a", counters(100, 7)), 7, "the first look has nothing to compare with");
  clock.ms = 5000;
  assert.equal(calls.observe("a", counters(110, 0)), 2);
  clock.ms = 5500;
  assert.equal(calls.observe("a", counters(111, 0)), 2, "asked again at once");
  assert.equal(calls.observe("b", counters(5, 1)), 1, "replicas are counted apart");
});

test("a replica that started anew, or was not asked for long, begins anew", () => {
  const { clock, calls } = setUp();
  calls.observe("a", counters(100, 0));
  clock.ms = 5000;
  assert.equal(calls.observe("a", counters(1, 3)), 3);
  clock.ms = 500_000;
  assert.equal(calls.observe("a", counters(200, 4)), 4);
});
