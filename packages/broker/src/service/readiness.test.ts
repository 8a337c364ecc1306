import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrokerEvent } from "../monitoring/events.ts";
import { createReadiness } from "./readiness.ts";

const refusal = (code: string, logIndex: number | null): BrokerEvent => ({
  type: "refusal",
  time: "2026-01-01T00:00:00.000Z",
  address: "127.0.0.1",
  code,
  denials: [],
  simulated: false,
  peerKeySha256: null,
  logIndex,
});

test("a log that takes no entries makes the broker unready, until one is taken or half a minute has passed", () => {
  let now = 0;
  const readiness = createReadiness(() => new Date(now));
  const ready = (): boolean => readiness.now({ isCertified: true }).ready;
  assert.equal(ready(), true);
  readiness.observe(refusal("LOG_UNAVAILABLE", null));
  assert.deepEqual(readiness.now({ isCertified: true }), { ready: false, reasons: ["LOG_UNAVAILABLE"] });
  readiness.observe(refusal("DEBUG_ENCLAVE", 7));
  assert.equal(ready(), true);
  readiness.observe(refusal("LOG_UNAVAILABLE", null));
  now += 29_999;
  assert.equal(ready(), false);
  now += 1;
  assert.equal(ready(), true);
});

test("a broker that is busy says nothing about its log", () => {
  const readiness = createReadiness(() => new Date(0));
  readiness.observe(refusal("BROKER_BUSY", null));
  assert.equal(readiness.now({ isCertified: true }).ready, true);
});

test("a log that has to be opened again makes the broker unready for good", () => {
  let now = 0;
  const readiness = createReadiness(() => new Date(now));
  readiness.observe(refusal("LOG_UNAVAILABLE", null));
  now += 3_600_000;
  assert.deepEqual(readiness.now({ isCertified: true, isLogBroken: true }), { ready: false, reasons: ["LOG_BROKEN"] });
});
