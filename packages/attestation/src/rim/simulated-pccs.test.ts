import assert from "node:assert/strict";
import { test } from "node:test";
import { appraise } from "../appraisal/appraise.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { createCollateralSource } from "./collateral-source.ts";
import { httpsExchange } from "./https-exchange.ts";
import { startSimulatedPccs } from "./simulated-pccs.ts";

const NOW = new Date("2026-03-01T00:00:00Z");
const measurements = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32), mrtd: new Uint8Array(48) };

test("the ordinary client appraises quotes of both TEEs with what a simulated PCCS serves", async () => {
  const platform = createSimulatedPlatform({ now: NOW });
  const clock = (): Date => NOW;
  const anchors = [platform.trustAnchor];
  await using pccs = await startSimulatedPccs(platform, { clock });
  const source = createCollateralSource({ service: pccs.service, anchors, clock });
  const reportData = new Uint8Array(64);
  for (const quote of [
    platform.quote({ reportData, ...measurements }),
    platform.tdQuote({ reportData, ...measurements }),
  ]) {
    const claims = appraise({ quote }, await source(quote), anchors, NOW);
    assert.equal(claims.simulated, true);
    assert.equal(claims.tcb.status, "UpToDate");
  }
});

test("a revocation is served from then on, and time passes", async () => {
  const platform = createSimulatedPlatform({ now: NOW });
  const time = { now: NOW };
  const clock = (): Date => time.now;
  const anchors = [platform.trustAnchor];
  await using pccs = await startSimulatedPccs(platform, { clock });
  const quote = platform.quote({ reportData: new Uint8Array(64), ...measurements });
  const source = createCollateralSource({ service: pccs.service, anchors, clock });
  assert.ok(appraise({ quote }, await source(quote), anchors, clock()));
  platform.revokePck();
  time.now = new Date(NOW.getTime() + 31 * 86_400_000);
  const later = await source(quote);
  assert.throws(() => appraise({ quote }, later, anchors, clock()), { code: "PCK_CERTIFICATE_REVOKED" });
});

test("other routes, other platforms and other methods get nothing", async () => {
  const platform = createSimulatedPlatform({ now: NOW });
  await using pccs = await startSimulatedPccs(platform, { clock: () => NOW });
  const { url, tlsAuthority = "" } = pccs.service;
  const ask = async (path: string, json?: string): Promise<number> => {
    const options = { timeoutMs: 30_000, tlsAuthority, ...(json !== undefined && { json }) };
    return (await httpsExchange(new URL(path, url), options)).status;
  };
  assert.equal(await ask("tcb?fmspc=00606a000000"), 404);
  assert.equal(await ask("tcb?fmspc=xyz"), 400);
  assert.equal(await ask("pckcrl?ca=processor"), 404);
  assert.equal(await ask("pckcrl?ca=root"), 400);
  assert.equal(await ask("crl"), 400);
  assert.equal(await ask("platforms"), 404);
  assert.equal(await ask("../../../etc/passwd"), 404);
  assert.equal(await ask("tcb?fmspc=53494d000001", "{}"), 405);
});
