import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { callFailed } from "../errors.ts";
import { histogramSvg, latencyHistogram } from "./histogram.ts";
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

test("each lane makes its own number of calls, however slow it is beside the others", async () => {
  const loops: string[] = [];
  await generateLoad((index) => sleep(index === 0 ? 30 : 0, { replica: undefined }), {
    concurrency: 2,
    requestsPerLane: 3,
    onCall: ({ lane, loop }) => loops.push(`${lane}:${loop}`),
  });
  assert.deepEqual(loops.toSorted(), ["0:0", "0:1", "0:2", "1:0", "1:1", "1:2"]);
});

test("a duration ends the load", async () => {
  const report = await generateLoad(() => sleep(5, { replica: "one" }), { durationMs: 60, concurrency: 2 });
  // Timers never fire early, so there is a most; a pause of the machine can leave just the first call of each lane.
  assert.ok(report.requests >= 2 && report.requests <= 26, `${report.requests}`);
  assert.ok(report.durationMs >= 55);
});

test("the open loop begins calls on its schedule, and counts the wait for a free lane", async () => {
  const report = await generateLoad(
    async () => {
      await sleep(20);
      return { replica: undefined };
    },
    { concurrency: 1, ratePerSecond: 200, requests: 5 },
  );
  assert.equal(report.succeeded, 5);
  // Calls are due 5 ms apart and take 20 ms on one lane: the fifth has waited for about 60 ms.
  assert.ok(report.latency.maxMs > 60, `${report.latency.maxMs} ms`);
});

test("load ends when its signal fires, and tells each call", async () => {
  const abort = new AbortController();
  const lanes: number[] = [];
  const report = await generateLoad(
    async () => {
      await sleep(1);
      return { replica: "one" };
    },
    {
      concurrency: 2,
      requests: Infinity,
      signal: abort.signal,
      onCall: ({ lane }) => {
        if (lanes.push(lane) === 10) abort.abort();
      },
    },
  );
  assert.ok(report.succeeded >= 10 && report.succeeded < 13);
  assert.deepEqual(new Set(lanes), new Set([0, 1]));
});

test("a histogram holds every call, the slowest in a bucket of their own", () => {
  const values = Array.from({ length: 200 }, (_, index) => (index === 199 ? 500 : 1 + index / 100));
  const buckets = latencyHistogram(values);
  assert.equal(
    buckets.reduce((sum, { count }) => sum + count, 0),
    200,
  );
  assert.ok((buckets.at(-1)?.count ?? 0) <= 3);
  assert.deepEqual(latencyHistogram([]), []);
  assert.match(histogramSvg(buckets, summarizeLatencies(values)), /^<svg [^]*<\/svg>\n$/);
});
