import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "./metrics.ts";

const at = { time: "2026-01-01T00:00:00.000Z", address: "192.0.2.1" };

test("events become counters and a histogram in Prometheus' text format", () => {
  const metrics = createMetrics();
  for (const milliseconds of [4, 30, 20_000]) {
    metrics.observe({
      type: "release",
      ...at,
      workload: "digits",
      rule: "r",
      keyId: "k",
      simulated: true,
      peerKeySha256: "ab",
      logIndex: 0,
      milliseconds,
    });
  }
  metrics.observe({ type: "connection", ...at, code: "IDLE_TIMEOUT" });
  const lines = new Set(metrics.render().split("\n"));
  for (const line of [
    "# TYPE cloister_broker_releases_total counter",
    'cloister_broker_releases_total{workload="digits",simulated="true"} 3',
    'cloister_broker_connections_ended_total{code="IDLE_TIMEOUT"} 1',
    'cloister_broker_release_seconds_bucket{le="0.005"} 1',
    'cloister_broker_release_seconds_bucket{le="0.05"} 2',
    'cloister_broker_release_seconds_bucket{le="10"} 2',
    'cloister_broker_release_seconds_bucket{le="+Inf"} 3',
    "cloister_broker_release_seconds_count 3",
  ]) {
    assert.ok(lines.has(line), line);
  }
});

test("a label cannot break the format, and the number of series is bounded", () => {
  const metrics = createMetrics();
  const refusal = {
    type: "refusal",
    ...at,
    denials: [],
    simulated: false,
    peerKeySha256: null,
    logIndex: null,
  } as const;
  metrics.observe({ ...refusal, code: 'A"}\n1' });
  assert.ok(metrics.render().includes('code="A_}_1"'));
  for (let i = 0; i < 20_000; i += 1) metrics.observe({ ...refusal, code: `CODE_${i}` });
  assert.ok(metrics.render().split("\n").length < 10_050);
});
