import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Collateral } from "../collateral/collateral.ts";
import { quotedPlatform } from "../collateral/quoted-platform.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { createCollateralSource, type CollateralEvent, type CollateralSourceOptions } from "./collateral-source.ts";
import { loadCase } from "./testing/dcap-bundle.ts";
import { startTestPccs, type Interception, type TestPccs } from "./testing/test-pccs.ts";

const BUNDLE = loadCase("sgx-00606a-2025-08/valid");
const DAY_MS = 86_400_000;
const LONG_AFTER = new Date("2040-01-01T00:00:00Z");
const NOW = new Date("2026-03-01T00:00:00Z");

interface Setting {
  readonly collateral?: Collateral;
  readonly intercept?: Interception;
  readonly options?: Partial<CollateralSourceOptions>;
}

/** A source on a test service with a clock to move. */
async function setUp(t: TestContext, { collateral = BUNDLE.collateral, intercept, options }: Setting = {}) {
  const pccs = await startTestPccs(collateral, intercept);
  t.after(() => pccs[Symbol.asyncDispose]());
  const clock = { now: BUNDLE.time, later: (ms: number) => (clock.now = new Date(clock.now.getTime() + ms)) };
  const events: CollateralEvent[] = [];
  const settings: CollateralSourceOptions = {
    service: pccs.service,
    anchors: BUNDLE.anchors,
    clock: () => clock.now,
    retries: 0,
    timeoutMs: 30_000,
    random: () => 0,
    onEvent: (event) => events.push(event),
    ...options,
  };
  return { pccs, clock, events, settings, source: createCollateralSource(settings) };
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cloister-collateral-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** A simulated platform with the sets that its service would give at two times. */
function simulated() {
  const platform = createSimulatedPlatform({ now: NOW });
  const quote = platform.quote({
    reportData: new Uint8Array(64),
    mrenclave: new Uint8Array(32),
    mrsigner: new Uint8Array(32),
  });
  const later = new Date(NOW.getTime() + 10 * DAY_MS);
  return {
    platform,
    quote,
    later,
    newer: platform.collateral({ issuedAt: later }),
    older: platform.collateral({ issuedAt: NOW }),
    options: { anchors: [platform.trustAnchor] },
  };
}

const fetches = ({ requests }: TestPccs): number => requests.filter((path) => path.includes("/tcb?")).length;
const codes = (events: readonly CollateralEvent[]) => events.map(({ kind, code }) => code ?? kind);

test("requests at the same time, and later ones, are one fetch", async (t) => {
  const { pccs, source } = await setUp(t);
  const both = await Promise.all([source(BUNDLE.quote), source(BUNDLE.quote)]);
  assert.deepEqual(both, [BUNDLE.collateral, BUNDLE.collateral]);
  assert.deepEqual(await source.forPlatform(quotedPlatform(BUNDLE.quote)), BUNDLE.collateral);
  assert.equal(fetches(pccs), 1);
});

test("from half of the remaining life on it is fetched again, while the old set is given out", async (t) => {
  let slow = false;
  const answerLate = (_request: unknown, response: { destroy: () => unknown }): boolean => {
    if (slow) setTimeout(() => response.destroy(), 200);
    return slow;
  };
  const { pccs, clock, source } = await setUp(t, { intercept: answerLate });
  await source(BUNDLE.quote);
  const [kept] = source.kept();
  assert.ok(kept !== undefined);
  clock.now = new Date(kept.refreshAt.getTime() - 1);
  await source(BUNDLE.quote);
  assert.equal(fetches(pccs), 1);
  slow = true;
  clock.now = kept.refreshAt;
  assert.deepEqual(await source(BUNDLE.quote), BUNDLE.collateral);
  await source.settled();
  assert.equal(fetches(pccs), 2);
});

test("refreshes of many verifiers are spread over a tenth of the remaining life", async (t) => {
  const [early, late] = await Promise.all(
    [0, 1].map(async (value) => {
      const { source } = await setUp(t, { options: { random: () => value } });
      await source(BUNDLE.quote);
      return source.kept()[0];
    }),
  );
  assert.ok(early !== undefined && late !== undefined);
  const lifeMs = early.earliestExpiry.getTime() - BUNDLE.time.getTime();
  assert.equal(early.refreshAt.getTime() - BUNDLE.time.getTime(), Math.floor(lifeMs * 0.5));
  assert.equal(late.refreshAt.getTime() - BUNDLE.time.getTime(), Math.floor(lifeMs * 0.6));
});

test("a configured age brings the refresh forward", async (t) => {
  const { clock, pccs, source } = await setUp(t, { options: { maxAgeMs: 3_600_000 } });
  await source(BUNDLE.quote);
  clock.later(3_600_000);
  await source(BUNDLE.quote);
  await source.settled();
  assert.equal(fetches(pccs), 2);
});

test("where the service fails, the last set is given out until it expires, and not after", async (t) => {
  let down = false;
  const intercept: Interception = (_, response) => down && Boolean(response.writeHead(503).end());
  const { clock, source, events } = await setUp(t, { intercept });
  await source(BUNDLE.quote);
  const [kept] = source.kept();
  assert.ok(kept !== undefined);
  down = true;
  clock.now = kept.earliestExpiry;
  assert.deepEqual(await source(BUNDLE.quote), BUNDLE.collateral);
  await source.settled();
  clock.later(1);
  await assert.rejects(source(BUNDLE.quote), { code: "COLLATERAL_SERVICE_FAILED" });
  clock.now = LONG_AFTER;
  await assert.rejects(source(BUNDLE.quote), { code: "COLLATERAL_SERVICE_FAILED" });
  assert.deepEqual(codes(events), ["fetched", "COLLATERAL_SERVICE_FAILED", "COLLATERAL_SERVICE_FAILED"]);
});

test("a failure is remembered for 30 seconds", async (t) => {
  let down = true;
  const intercept: Interception = (_, response) => down && Boolean(response.writeHead(404).end());
  const { clock, pccs, source } = await setUp(t, { intercept });
  await assert.rejects(source(BUNDLE.quote), { code: "COLLATERAL_NOT_FOUND" });
  down = false;
  clock.later(29_999);
  await assert.rejects(source(BUNDLE.quote), { code: "COLLATERAL_NOT_FOUND" });
  assert.equal(fetches(pccs), 1);
  clock.later(1);
  assert.deepEqual(await source(BUNDLE.quote), BUNDLE.collateral);
});

test("what does not verify is not kept and not given out", async (t) => {
  const other = loadCase("sgx-00a067-config-sw/valid").collateral;
  for (const [collateral, code] of [
    [{ ...BUNDLE.collateral, pckCrl: other.pckCrl }, "PCK_CRL_ISSUER_MISMATCH"],
    [{ ...BUNDLE.collateral, tcbInfo: other.tcbInfo }, "TCB_INFO_EXPIRED"],
    [loadCase("syn-pos-swhardening").collateral, "PCK_CHAIN_ROOT_NOT_TRUSTED"],
  ] as const) {
    const { source } = await setUp(t, { collateral });
    await assert.rejects(source(BUNDLE.quote), { code });
    assert.deepEqual(source.kept(), []);
  }
});

test("the revocation list of the other CA is refused before it is kept", async (t) => {
  const { newer, later, platform, options } = simulated();
  const { source, clock } = await setUp(t, { collateral: newer, options });
  clock.now = later;
  const asked = { tee: "sgx", fmspc: "53494d000001", pckCa: "processor" } as const;
  assert.equal(platform.pckCa, "platform");
  await assert.rejects(source.forPlatform(asked), { code: "PCK_CRL_ISSUER_MISMATCH" });
});

test("a set that is older than the kept one in any item is refused, and the kept one is given out", async (t) => {
  const { quote, later, newer, older, options } = simulated();
  const items = ["tcbInfo", "qeIdentity", "rootCaCrl", "pckCrl"] as const;
  for (const item of items) {
    const { source, clock, pccs, events } = await setUp(t, { collateral: newer, options });
    clock.now = later;
    assert.deepEqual(await source(quote), newer);
    pccs.serve({ ...newer, [item]: older[item] });
    clock.later(16 * DAY_MS);
    assert.deepEqual(await source(quote), newer);
    await source.settled();
    assert.deepEqual(codes(events), ["fetched", "COLLATERAL_ROLLED_BACK"]);
  }
});

test("an older revocation list is refused also where it comes with the set of another platform", async (t) => {
  const { later, newer, older, platform, options } = simulated();
  const { source, clock, pccs } = await setUp(t, { collateral: newer, options });
  clock.now = later;
  const known = { tee: "sgx", fmspc: "53494d000001", pckCa: "platform" } as const;
  await source.forPlatform(known);
  const tdx = platform.collateral({ tee: "tdx", issuedAt: later });
  pccs.serve({ ...tdx, rootCaCrl: older.rootCaCrl });
  await assert.rejects(source.forPlatform({ ...known, tee: "tdx" }), { code: "COLLATERAL_ROLLED_BACK" });
});

test("a set outlives the process in its folder, verified again when it is read", async (t) => {
  const folder = await folderOf(t);
  const { source, pccs, settings } = await setUp(t, { options: { folder } });
  await source(BUNDLE.quote);
  assert.deepEqual(await readdir(folder), ["sgx-00606a000000-platform-standard.json"]);
  const next = createCollateralSource(settings);
  assert.deepEqual(await next(BUNDLE.quote), BUNDLE.collateral);
  assert.equal(fetches(pccs), 1);
});

test("a changed or broken file of the folder is not used, and fetched anew", async (t) => {
  const folder = await folderOf(t);
  const { source, pccs, settings, events } = await setUp(t, { options: { folder } });
  await source(BUNDLE.quote);
  const path = join(folder, "sgx-00606a000000-platform-standard.json");
  const good = await readFile(path, "utf8");
  const { rootCaCrl } = JSON.parse(good) as { rootCaCrl: string };
  const bad: [string, string][] = [
    ["", "COLLATERAL_MALFORMED"],
    [good.slice(0, -2), "COLLATERAL_MALFORMED"],
    [` ${good}`, "COLLATERAL_MALFORMED"],
    [good.replace(/"pckCrl":"[^"]*"/, `"pckCrl":"${rootCaCrl}"`), "PCK_CRL_ISSUER_MISMATCH"],
  ];
  for (const [text, code] of bad) {
    await writeFile(path, text);
    events.length = 0;
    assert.deepEqual(await createCollateralSource(settings)(BUNDLE.quote), BUNDLE.collateral);
    assert.deepEqual(codes(events), [code, "fetched", "stored"]);
    assert.equal(await readFile(path, "utf8"), good);
  }
  assert.equal(fetches(pccs), 1 + bad.length);
});

test("after a restart the service cannot go back behind the folder", async (t) => {
  const { quote, later, newer, older, options } = simulated();
  const folder = await folderOf(t);
  const { source, clock, pccs, settings, events } = await setUp(t, {
    collateral: newer,
    options: { ...options, folder },
  });
  clock.now = later;
  await source(quote);
  pccs.serve(older);
  const next = createCollateralSource({ ...settings, maxAgeMs: 1000 });
  clock.later(DAY_MS);
  assert.deepEqual(await next(quote), newer);
  clock.later(1000);
  assert.deepEqual(await next(quote), newer);
  await next.settled();
  assert.ok(codes(events).includes("COLLATERAL_ROLLED_BACK"));
});

test("a folder that cannot be written costs nothing but a fetch after the next start", async (t) => {
  const folder = join(await folderOf(t), "file");
  await writeFile(folder, "");
  const { source, events } = await setUp(t, { options: { folder } });
  assert.deepEqual(await source(BUNDLE.quote), BUNDLE.collateral);
  assert.deepEqual(codes(events), ["fetched", "stored-refused"]);
});

test("files of an earlier fetch serve where there is no network", async (t) => {
  const folder = await folderOf(t);
  const { source, settings } = await setUp(t, { options: { folder } });
  await source(BUNDLE.quote);
  for (const url of [`file://${folder}`, `file://${folder}/sgx-00606a000000-platform-standard.json`]) {
    const { folder: _none, ...rest } = settings;
    const offline = createCollateralSource({ ...rest, service: { kind: "file", url } });
    assert.deepEqual(await offline(BUNDLE.quote), BUNDLE.collateral);
  }
  for (const [url, code] of [
    [`file://${folder}/nothing`, "COLLATERAL_NOT_FOUND"],
    ["https://localhost/", "COLLATERAL_SERVICE_URL_INVALID"],
  ] as const) {
    await assert.rejects(
      createCollateralSource({ ...settings, folder: `${folder}/x`, service: { kind: "file", url } })(BUNDLE.quote),
      { code },
    );
  }
});
