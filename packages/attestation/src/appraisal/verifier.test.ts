import assert from "node:assert/strict";
import { test } from "node:test";
import { loadCase, outcomeOf, VERIFIED_CASES } from "../rim/testing/dcap-bundle.ts";
import { INTEL_ROOT } from "./trust-anchor.ts";
import { appraise } from "./appraise.ts";
import { createProductionVerifier, createVerifier } from "./verifier.ts";

const SGX = "sgx-00606a-2025-08/valid";

test("a verifier that remembers gives the same claims as one that does not", () => {
  for (const id of VERIFIED_CASES) {
    const { quote, collateral, anchors, time } = loadCase(id);
    const verifier = createVerifier({ anchors });
    const cold = appraise({ quote }, collateral, anchors, time);
    assert.deepEqual(verifier.appraise({ quote }, collateral, time), cold);
    assert.deepEqual(verifier.appraise({ quote }, collateral, time), cold);
  }
});

test("an appraisal on the thread pool gives the same claims and the same refusals", async () => {
  for (const id of [SGX, "syn-pos-tdx5-relaunch", "syn-rev-pck", "syn-ak-off-curve", "syn-sig-one"]) {
    const { quote, collateral, anchors, time } = loadCase(id);
    const verifier = createVerifier({ anchors });
    const outcome = outcomeOf(() => appraise({ quote }, collateral, anchors, time));
    const later = verifier.appraiseAsync({ quote }, collateral, time);
    if (outcome === "accepted") assert.deepEqual(await later, appraise({ quote }, collateral, anchors, time));
    else await assert.rejects(later, { code: outcome });
  }
});

test("an appraisal on the thread pool lets others go on, and what they do to its input changes nothing", async () => {
  const { quote, collateral, anchors, time } = loadCase(SGX);
  const claims = appraise({ quote }, collateral, anchors, time);
  const given = { ...collateral, tcbInfo: collateral.tcbInfo.slice(), pckCrl: collateral.pckCrl.slice() };
  const evidence = { quote: quote.slice() };
  const clock = new Date(time);
  let turns = 0;
  const turn = (): void => {
    turns += 1;
    for (const bytes of [evidence.quote, given.tcbInfo, given.pckCrl]) bytes.fill(0);
    clock.setTime(0);
    timer = setImmediate(turn);
  };
  let timer = setImmediate(turn);
  assert.deepEqual(await createVerifier({ anchors }).appraiseAsync(evidence, given, clock), claims);
  clearImmediate(timer);
  assert.ok(turns > 0);
});

test("a remembered quoting enclave does not vouch for another key, and a key not for another quote", () => {
  const { quote, collateral, anchors, time } = loadCase(SGX);
  const verifier = createVerifier({ anchors });
  verifier.appraise({ quote }, collateral, time);
  // dcap.md C.1: signature at 436, attestation key at 500, quoting enclave's report at 564, its signature at 948.
  for (const [offset, code] of [
    [436, "QUOTE_SIGNATURE_INVALID"],
    [500, "QE_REPORT_DATA_MISMATCH"],
    [564, "QE_REPORT_SIGNATURE_INVALID"],
    [948, "QE_REPORT_SIGNATURE_INVALID"],
  ] as const) {
    const changed = quote.slice();
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    assert.equal(
      outcomeOf(() => verifier.appraise({ quote: changed }, collateral, time)),
      code,
    );
  }
});

test("several quotes have the claims that each of them has alone, and the first that fails decides", async () => {
  const { quote, collateral, anchors, time } = loadCase(SGX);
  const verifier = createVerifier({ anchors });
  const claims = appraise({ quote }, collateral, anchors, time);
  const forged = quote.slice();
  forged[436] = (forged[436] ?? 0) ^ 1;
  const quotes = [{ quote }, { quote }];
  assert.deepEqual(verifier.appraiseAll(quotes, collateral, time), [claims, claims]);
  assert.deepEqual(await verifier.appraiseAllAsync(quotes, collateral, time), [claims, claims]);
  const mixed = [{ quote }, { quote: forged }, { quote: new Uint8Array(8) }];
  assert.throws(() => verifier.appraiseAll(mixed, collateral, time), { code: "QUOTE_SIGNATURE_INVALID" });
  await assert.rejects(verifier.appraiseAllAsync(mixed, collateral, time), { code: "QUOTE_SIGNATURE_INVALID" });
});

test("quotes of two platforms under one verifier are each held against their own chain", () => {
  const [first, second] = [SGX, "syn-rev-pck"].map(loadCase);
  assert.ok(first !== undefined && second !== undefined);
  const verifier = createVerifier({ anchors: [...first.anchors, ...second.anchors] });
  const both = [{ quote: first.quote }, { quote: second.quote }];
  const alone = outcomeOf(() => verifier.appraise({ quote: second.quote }, first.collateral, first.time));
  assert.notEqual(alone, "accepted");
  assert.equal(
    outcomeOf(() => verifier.appraiseAll(both, first.collateral, first.time)),
    alone,
  );
});

test("what is remembered expires all the same", () => {
  const { quote, collateral, anchors, time } = loadCase(SGX);
  const verifier = createVerifier({ anchors });
  const { earliestExpiry } = verifier.appraise({ quote }, collateral, time).dates;
  const after = new Date(earliestExpiry.getTime() + 1000);
  assert.match(
    outcomeOf(() => verifier.appraise({ quote }, collateral, after)),
    /_EXPIRED$/,
  );
  assert.match(
    outcomeOf(() => verifier.appraise({ quote }, collateral, new Date(0))),
    /_NOT_YET_VALID$/,
  );
});

test("a changed item beside remembered ones is refused", () => {
  const { quote, collateral, anchors, time } = loadCase(SGX);
  const verifier = createVerifier({ anchors });
  verifier.appraise({ quote }, collateral, time);
  for (const name of ["tcbInfo", "qeIdentity", "rootCaCrl", "pckCrl"] as const) {
    const changed = collateral[name].slice();
    changed[changed.length - 4] = (changed.at(-4) ?? 0) ^ 1;
    assert.match(
      outcomeOf(() => verifier.appraise({ quote }, { ...collateral, [name]: changed }, time)),
      /_(SIGNATURE_INVALID|MALFORMED)$/,
      name,
    );
  }
});

test("a remembered chain does not vouch for a revoked certificate", () => {
  const good = loadCase("syn-pos-sgx-platform-uptodate");
  const revoked = loadCase("syn-rev-pck");
  const verifier = createVerifier({ anchors: [...good.anchors, ...revoked.anchors] });
  verifier.appraise({ quote: good.quote }, good.collateral, good.time);
  assert.equal(
    outcomeOf(() => verifier.appraise({ quote: revoked.quote }, revoked.collateral, revoked.time)),
    "PCK_CERTIFICATE_REVOKED",
  );
});

test("a verifier with room for one result still works", () => {
  const { quote, collateral, anchors, time } = loadCase(SGX);
  const verifier = createVerifier({ anchors, maxRemembered: 1 });
  assert.equal(
    outcomeOf(() => verifier.appraise({ quote }, collateral, time)),
    "accepted",
  );
  assert.equal(
    outcomeOf(() => verifier.appraise({ quote }, collateral, time)),
    "accepted",
  );
});

test("a production verifier cannot be given a simulated anchor", () => {
  const { anchors } = loadCase("syn-pos-swhardening");
  assert.equal(
    outcomeOf(() => createProductionVerifier({ anchors: [INTEL_ROOT, ...anchors] })),
    "ANCHOR_SIMULATED",
  );
  assert.equal(
    outcomeOf(() => createProductionVerifier({ anchors: [INTEL_ROOT] })),
    "accepted",
  );
});

test("who changes claims or anchors does not change later claims", () => {
  const { quote, collateral, anchors, time } = loadCase("syn-pos-sgx-platform-uptodate");
  const own = anchors.map((anchor) => structuredClone(anchor));
  const verifier = createVerifier({ anchors: own });
  const before = verifier.appraise({ quote }, collateral, time);
  const copy = structuredClone({ ...before });
  before.platform.fmspc.fill(0);
  before.platform.platformInstanceId?.fill(0);
  before.reportData.fill(0);
  for (const { certificate } of own) certificate.fill(0);
  assert.deepEqual({ ...verifier.appraise({ quote }, collateral, time) }, copy);
});
