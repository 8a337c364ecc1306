import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "@cloister/encoding";
import { appraise } from "./appraise.ts";
import {
  appraiseBundle,
  loadCase,
  outcomeOf,
  VERIFIED_CASES,
  type VectorExpectation,
} from "../rim/testing/dcap-bundle.ts";
import { INTEL_ROOT } from "./trust-anchor.ts";
import { appraiseAsync } from "./webcrypto.ts";

const SGX = "sgx-00a067-config-sw/valid";
const TDX = "tdx5-90c06f-td15-uptodate/valid";

for (const id of VERIFIED_CASES) {
  test(`claims of ${id} have the parts that the vector names`, () => {
    const bundle = loadCase(id);
    const { tcb, debug, simulated, dates } = appraiseBundle(bundle);
    const parts: Readonly<Record<string, unknown>> = {
      platformTcbStatus: tcb.platformStatus,
      qeTcbStatus: tcb.qeStatus,
      tdxModuleTcbStatus: tcb.tdxModuleStatus,
      tcbDate: tcb.tcbDate.toISOString().replace(".000Z", "Z"),
      tcbEvaluationDataNumber: tcb.evaluationDataNumber,
      debug,
    };
    const named = Object.keys(bundle.expect).filter((name) => name in parts);
    assert.ok(named.length >= 3);
    for (const name of named) assert.equal(parts[name], bundle.expect[name as keyof VectorExpectation], name);
    assert.equal(simulated, bundle.anchors[0] !== INTEL_ROOT);
    assert.ok(dates.earliestIssue <= dates.latestIssue && dates.latestIssue <= bundle.time);
    assert.ok(bundle.time <= dates.earliestExpiry);
  });
}

test("SGX claims carry the report, the platform and the anchor", () => {
  const claims = appraiseBundle(loadCase(SGX));
  assert.equal(claims.tee, "sgx");
  assert.equal(claims.anchor, "intel");
  assert.equal(claims.anchorSha256, "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3");
  assert.equal(
    toHex(claims.sgx?.mrenclave ?? new Uint8Array()),
    "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb",
  );
  assert.equal(Buffer.from(claims.reportData).toString("latin1").replaceAll("\0", ""), "Hello, world!");
  assert.equal(toHex(claims.platform.fmspc), "00a067110000");
  assert.equal(claims.platform.pckCa, "processor");
  assert.equal(claims.platform.pckSerial, "81b77732b761e98eb9b963a4abd1e5b9bf5dd8d6");
  assert.equal(claims.platform.flags, undefined);
  assert.equal(claims.checked.at(-1), "tcb-level");
  assert.equal(claims.tdx, undefined);
});

test("TDX claims carry the TD report", () => {
  const { tee, tdx, sgx, checked } = appraiseBundle(loadCase(TDX));
  assert.equal(tee, "tdx");
  assert.equal(sgx, undefined);
  assert.equal(tdx?.reportVersion, "1.5");
  assert.deepEqual(
    tdx?.rtmrs.map(({ length }) => length),
    [48, 48, 48, 48],
  );
  assert.equal(tdx?.teeTcbSvn2?.length, 16);
  assert.ok(checked.includes("tdx-module"));
});

test("claims do not change with the caller's buffers", () => {
  const bundle = loadCase(SGX);
  const claims = appraiseBundle(bundle);
  const before = toHex(claims.reportData);
  bundle.quote.fill(0);
  assert.equal(toHex(claims.reportData), before);
});

test("evidence is refused without anchors, and with those of others only", () => {
  const bundle = loadCase(SGX);
  const other = loadCase("syn-pos-tdx4-uptodate").anchors;
  assert.equal(
    outcomeOf(() => appraiseBundle({ ...bundle, anchors: [] })),
    "PCK_CHAIN_ROOT_NOT_TRUSTED",
  );
  assert.equal(
    outcomeOf(() => appraiseBundle({ ...bundle, anchors: other })),
    "PCK_CHAIN_ROOT_NOT_TRUSTED",
  );
});

test("of several anchors the one of the chain counts", () => {
  const simulated = loadCase("syn-pos-swhardening");
  const anchors = [INTEL_ROOT, ...simulated.anchors];
  assert.equal(appraiseBundle({ ...simulated, anchors }).simulated, true);
  assert.equal(appraiseBundle({ ...loadCase(SGX), anchors }).simulated, false);
});

test("an anchor of kind intel must be Intel's root", () => {
  const bundle = loadCase("syn-pos-swhardening");
  const anchors = bundle.anchors.map((anchor) => ({ ...anchor, kind: "intel" as const }));
  assert.equal(
    outcomeOf(() => appraiseBundle({ ...bundle, anchors })),
    "ANCHOR_NOT_INTEL",
  );
});

test("an anchor that is no certificate, or was changed, is refused", () => {
  const bundle = loadCase(SGX);
  const changed = INTEL_ROOT.certificate.slice();
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  const withAnchor = (certificate: Uint8Array) => ({ ...bundle, anchors: [{ ...INTEL_ROOT, certificate }] });
  assert.equal(
    outcomeOf(() => appraiseBundle(withAnchor(new Uint8Array()))),
    "ANCHOR_MALFORMED",
  );
  assert.equal(
    outcomeOf(() => appraiseBundle(withAnchor(changed))),
    "ANCHOR_NOT_SELF_SIGNED",
  );
});

test("a time that is no date is refused, not compared", () => {
  const bundle = loadCase(SGX);
  assert.equal(
    outcomeOf(() => appraiseBundle({ ...bundle, time: new Date(Number.NaN) })),
    "TIME_INVALID",
  );
});

test("the earliest expiry is the last moment of acceptance", () => {
  const bundle = loadCase(SGX);
  const last = appraiseBundle(bundle).dates.earliestExpiry;
  assert.equal(
    outcomeOf(() => appraiseBundle({ ...bundle, time: last })),
    "accepted",
  );
  const after = new Date(last.getTime() + 1);
  assert.match(
    outcomeOf(() => appraiseBundle({ ...bundle, time: after })),
    /_EXPIRED$/,
  );
});

test("WebCrypto gives the same claims and the same refusals", async () => {
  for (const id of [SGX, TDX, "syn-pos-tdx5-relaunch"]) {
    const { quote, collateral, anchors, time } = loadCase(id);
    assert.deepEqual(
      await appraiseAsync({ quote }, collateral, anchors, time),
      appraise({ quote }, collateral, anchors, time),
    );
  }
  for (const id of ["syn-ak-zero", "syn-ak-off-curve", "syn-sig-r-equals-n", "syn-sig-one", "syn-rev-pck"]) {
    const { quote, collateral, anchors, time } = loadCase(id);
    const code = outcomeOf(() => appraise({ quote }, collateral, anchors, time));
    await assert.rejects(appraiseAsync({ quote }, collateral, anchors, time), { code });
  }
});
