import assert from "node:assert/strict";
import { test } from "node:test";
import type { Collateral } from "../collateral.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { createCollateralSource } from "./collateral-source.ts";
import { loadCase } from "./testing/dcap-bundle.ts";
import { answer, startTestPccs, type Interception, type TestPccs } from "./testing/test-pccs.ts";

const BUNDLE = loadCase("sgx-00606a-2025-08/valid");
const DAY_MS = 86_400_000;
const LONG_AFTER = new Date("2040-01-01T00:00:00Z");

/** A source on a test service with a clock to move. */
async function setUp(collateral: Collateral = BUNDLE.collateral, intercept?: Interception) {
  const pccs = await startTestPccs(collateral, intercept);
  const clock = { now: BUNDLE.time };
  const { anchors } = BUNDLE;
  const source = createCollateralSource({
    service: pccs.service,
    anchors,
    clock: () => clock.now,
    retries: 0,
    timeoutMs: 2000,
  });
  return { pccs, clock, source };
}

const fetches = ({ requests }: TestPccs): number => requests.filter((path) => path.includes("/tcb?")).length;

test("requests at the same time, and later ones, are one fetch", async () => {
  const { pccs, source } = await setUp();
  await using _ = pccs;
  const both = await Promise.all([source(BUNDLE.quote), source(BUNDLE.quote)]);
  assert.deepEqual(both, [BUNDLE.collateral, BUNDLE.collateral]);
  await source(BUNDLE.quote);
  assert.equal(fetches(pccs), 1);
});

test("from half of the remaining life on it is fetched again", async () => {
  const { pccs, clock, source } = await setUp();
  await using _ = pccs;
  await source(BUNDLE.quote);
  clock.now = new Date(BUNDLE.time.getTime() + 14 * DAY_MS);
  await source(BUNDLE.quote);
  assert.equal(fetches(pccs), 2);
});

test("where the service fails, the last set is given out until it expires, and not after", async () => {
  let down = false;
  const { pccs, clock, source } = await setUp(BUNDLE.collateral, (_request, response) => {
    return down && Boolean(response.writeHead(503).end());
  });
  await using _ = pccs;
  await source(BUNDLE.quote);
  down = true;
  clock.now = new Date(BUNDLE.time.getTime() + 14 * DAY_MS);
  assert.deepEqual(await source(BUNDLE.quote), BUNDLE.collateral);
  clock.now = LONG_AFTER;
  await assert.rejects(source(BUNDLE.quote), { code: "COLLATERAL_SERVICE_FAILED" });
});

test("what does not verify is not kept and not given out", async () => {
  const other = loadCase("sgx-00a067-config-sw/valid").collateral;
  for (const [collateral, code] of [
    [{ ...BUNDLE.collateral, pckCrl: other.pckCrl }, "PCK_CRL_ISSUER_MISMATCH"],
    [{ ...BUNDLE.collateral, tcbInfo: other.tcbInfo }, "TCB_INFO_EXPIRED"],
    [loadCase("syn-pos-swhardening").collateral, "PCK_CHAIN_ROOT_NOT_TRUSTED"],
  ] as const) {
    const { pccs, source } = await setUp(collateral);
    await using _ = pccs;
    await assert.rejects(source(BUNDLE.quote), { code });
    await assert.rejects(source(BUNDLE.quote), { code });
    assert.equal(fetches(pccs), 2);
  }
});

test("a set that is older than the kept one is refused, and the kept one is given out", async () => {
  const now = new Date("2026-03-01T00:00:00Z");
  const platform = createSimulatedPlatform({ now });
  const quote = platform.quote({
    reportData: new Uint8Array(64),
    mrenclave: new Uint8Array(32),
    mrsigner: new Uint8Array(32),
  });
  const later = new Date(now.getTime() + 10 * DAY_MS);
  const newer = platform.collateral({ issuedAt: later });
  const older = platform.collateral({ issuedAt: now });
  let served = newer;
  await using pccs = await startTestPccs(newer, (request, response) => {
    answer(served, request, response);
    return true;
  });
  const clock = { now: later };
  const anchors = [platform.trustAnchor];
  const source = createCollateralSource({ service: pccs.service, anchors, clock: () => clock.now, retries: 0 });
  assert.deepEqual(await source(quote), newer);
  served = older;
  clock.now = new Date(later.getTime() + 18 * DAY_MS);
  assert.deepEqual(await source(quote), newer);
  assert.equal(fetches(pccs), 2);
});
