import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { callFailed } from "../errors.ts";
import { generateLoad } from "./load-generator.ts";
import { summarizeLatencies } from "./percentiles.ts";

test("percentiles are values that were measured", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  const { meanMs, ...percentiles } = summarizeLatencies(values);
  assert.deepEqual(percentiles, { p50Ms: 50, p90Ms: 90, p95Ms: 95, p99Ms: 99, maxMs: 100 });
  assert.equal(meanMs, 50.5);
  assert.equal(summarizeLatencies([7]).p50Ms, 7);
  assert.equal(summarizeLatencies([]).maxMs, 0);
});

test("calls are counted by outcome and replica, never more at once than asked for, and warm-up is not counted", async () => {
  let inFlight = 0;
  let most = 0;
  const report = await generateLoad(
    async (index) => {
      most = Math.max(most, ++inFlight);
      await sleep(1);
      inFlight--;
      if (index % 10 === 9) throw callFailed("DEADLINE_EXCEEDED", "late");
      return { replica: index % 2 === 0 ? "even" : undefined };
    },
    { requests: 100, concurrency: 5, warmup: 3 },
  );
  assert.equal(most, 5);
  assert.deepEqual([report.requests, report.succeeded, report.failed], [100, 90, 10]);
  assert.deepEqual(report.errors, new Map([["DEADLINE_EXCEEDED", 10]]));
  assert.deepEqual(
    report.replicas,
    new Map([
      ["even", 50],
      ["unknown", 40],
    ]),
  );
  assert.ok(report.perSecond > 0 && report.latency.p50Ms >= 0.9);
});

test("a duration ends the load", async () => {
  const report = await generateLoad(() => sleep(5, { replica: "one" }), { durationMs: 60, concurrency: 2 });
  assert.ok(report.requests >= 4 && report.requests <= 26, `${report.requests}`);
  assert.ok(report.durationMs >= 55);
});
