import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { fromUtf8, Secret, utf8 } from "@cloister/encoding";
import { appraise } from "../appraisal/appraise.ts";
import { AttestationError } from "../errors.ts";
import { createProductionVerifier } from "../appraisal/verifier.ts";
import {
  createSimulatedPlatform,
  restoreSimulatedPlatform,
  type SimulatedPlatform,
  type SimulatedPlatformOptions,
  type SimulatedTcbLevel,
} from "./index.ts";

const now = new Date("2026-03-10T12:00:00Z");
const later = (days: number) => new Date(now.getTime() + days * 86_400_000);
const enclave = {
  reportData: utf8("bound to this"),
  mrenclave: new Uint8Array(32).fill(0xe1),
  mrsigner: new Uint8Array(32).fill(0x51),
  isvProdId: 7,
  isvSvn: 3,
};
const domain = { reportData: utf8("bound to this"), mrtd: new Uint8Array(48).fill(0xd1) };
const make = (options: Partial<SimulatedPlatformOptions> = {}) => createSimulatedPlatform({ now, ...options });
const platform = make();
const accept = (quote: Uint8Array, from: SimulatedPlatform = platform, time = now) =>
  appraise({ quote }, from.collateralFor(quote), [from.trustAnchor], time);
const refuses = (code: string, quote: Uint8Array, from: SimulatedPlatform = platform, time = now) =>
  assert.throws(() => accept(quote, from, time), { code });

test("an SGX quote is verified, with the claims that were asked for", () => {
  const claims = accept(platform.quote(enclave));
  assert.deepEqual([claims.tee, claims.quoteVersion, claims.debug], ["sgx", 3, false]);
  assert.deepEqual([claims.sgx?.mrenclave, claims.sgx?.mrsigner], [enclave.mrenclave, enclave.mrsigner]);
  assert.deepEqual([claims.sgx?.isvProdId, claims.sgx?.isvSvn], [7, 3]);
  assert.equal(fromUtf8(claims.reportData), "bound to this".padEnd(64, "\0"));
  assert.equal(claims.tcb.status, "UpToDate");
});

test("SGX quotes of versions 4 and 5 can be made; the verifier takes SGX in version 3 only", () => {
  for (const version of [4, 5] as const) refuses("QUOTE_TEE_UNSUPPORTED", platform.quote({ ...enclave, version }));
});

test("TDX quotes of versions 4 and 5 are verified, TDX 1.5 included", () => {
  const rtmrs = [1, 2, 3, 4].map((fill) => new Uint8Array(48).fill(fill));
  const forms = [{ version: 4 }, { version: 5 }, { version: 5, form: "1.5" }] as const;
  for (const form of forms) {
    const claims = accept(platform.tdQuote({ ...domain, ...form, rtmrs }));
    assert.equal(claims.tee, "tdx");
    assert.deepEqual(claims.tdx?.mrTd, domain.mrtd);
    assert.deepEqual(claims.tdx?.rtmrs, rtmrs);
    assert.equal(claims.tcb.status, "UpToDate");
  }
  assert.throws(() => platform.tdQuote({ ...domain, version: 4, form: "1.5" }), RangeError);
});

test("both kinds of PCK authority are verified", () => {
  assert.equal(accept(platform.quote(enclave)).platform.pckCa, "platform");
  const processor = make({ pckCa: "processor" });
  const claims = accept(processor.quote(enclave), processor);
  assert.equal(claims.platform.pckCa, "processor");
  assert.equal(claims.platform.platformInstanceId, undefined);
});

test("claims say simulated and name the anchor", () => {
  const named = make({ name: "laptop" });
  const claims = accept(named.quote(enclave), named);
  assert.deepEqual([claims.simulated, claims.anchor], [true, "laptop"]);
});

test("everything a person may read says simulated", () => {
  const quote = platform.quote(enclave);
  const text = Buffer.from(quote).toString("latin1");
  assert.match(text.slice(28, 48), /^SIMULATED/);
  const pems: string[] = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const collateral = platform.collateral();
  pems.push(...(collateral.tcbInfoIssuerChain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []));
  assert.equal(pems.length, 5);
  for (const pem of pems) assert.match(new X509Certificate(pem).subject, /^CN=Simulated .*\nO=Cloister Simulated/);
  assert.match(fromUtf8(accept(quote).platform.ppid.subarray(0, 9)) ?? "", /^SIMULATED$/);
});

test("a quote is refused without its own anchor, also where that is said to be Intel's", () => {
  const quote = platform.quote(enclave);
  const collateral = platform.collateral();
  const { certificate } = platform.trustAnchor;
  for (const anchors of [[], [make().trustAnchor], [{ name: "intel", kind: "intel" as const, certificate }]]) {
    assert.throws(() => appraise({ quote }, collateral, anchors, now), AttestationError);
  }
});

test("the production verifier cannot be given the anchor", () => {
  assert.throws(() => createProductionVerifier({ anchors: [platform.trustAnchor] }), { code: "ANCHOR_SIMULATED" });
});

test("the platform can be put at every TCB level", () => {
  const levels: readonly SimulatedTcbLevel[] = [
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
  ];
  for (const tcbLevel of levels) {
    for (const quote of [platform.quote({ ...enclave, tcbLevel }), platform.tdQuote({ ...domain, tcbLevel })]) {
      const { tcb } = accept(quote);
      assert.equal(tcb.status, tcbLevel);
      assert.equal(tcb.advisoryIds.length > 0, tcbLevel !== "UpToDate");
    }
  }
  refuses("TCB_REVOKED", platform.quote({ ...enclave, tcbLevel: "Revoked" }));
});

test("the quoting enclave can be out of date or revoked", () => {
  const outOfDate = accept(platform.quote({ ...enclave, qeLevel: "OutOfDate" }));
  assert.deepEqual([outOfDate.tcb.status, outOfDate.tcb.qeStatus], ["OutOfDate", "OutOfDate"]);
  refuses("TCB_REVOKED", platform.quote({ ...enclave, qeLevel: "Revoked" }));
});

test("debug enclaves and domains say so", () => {
  assert.equal(accept(platform.quote({ ...enclave, debug: true })).debug, true);
  assert.equal(accept(platform.tdQuote({ ...domain, debug: true })).debug, true);
});

test("a revoked PCK, PCK authority or TCB signer is refused from the next collateral on", () => {
  const cases = [
    [(doomed: SimulatedPlatform) => doomed.revokePck(), "PCK_CERTIFICATE_REVOKED"],
    [(doomed: SimulatedPlatform) => doomed.revokePckCa(), "PCK_CA_REVOKED"],
    [(doomed: SimulatedPlatform) => doomed.revokeTcbSigner(), "TCB_SIGNER_REVOKED"],
  ] as const;
  for (const [revoke, code] of cases) {
    const doomed = make();
    const quote = doomed.quote(enclave);
    const before = doomed.collateral();
    revoke(doomed);
    refuses(code, quote, doomed);
    assert.equal(appraise({ quote }, before, [doomed.trustAnchor], now).tcb.status, "UpToDate");
  }
});

test("revoking the PCK of one TCB level leaves the others", () => {
  const updated = make();
  const old = updated.quote({ ...enclave, tcbLevel: "OutOfDate" });
  updated.revokePck("OutOfDate");
  refuses("PCK_CERTIFICATE_REVOKED", old, updated);
  assert.equal(accept(updated.quote(enclave), updated).tcb.status, "UpToDate");
});

test("collateral expires, and new collateral renews the verdict", () => {
  const quote = platform.quote(enclave);
  const time = later(31);
  assert.throws(() => accept(quote, platform, time), { code: /EXPIRED$/ });
  const fresh = platform.collateral({ issuedAt: later(30), tcbEvaluationDataNumber: 5 });
  const claims = appraise({ quote }, fresh, [platform.trustAnchor], time);
  assert.equal(claims.tcb.evaluationDataNumber, 5);
  const short = platform.collateral({ validityDays: 1 });
  assert.throws(() => appraise({ quote }, short, [platform.trustAnchor], later(2)), { code: /EXPIRED$/ });
  assert.throws(() => accept(quote, platform, later(-1)), { code: /NOT_YET_VALID$/ });
});

test("collateral of one TEE is refused for the other", () => {
  const anchors = [platform.trustAnchor];
  const sgx = platform.collateral({ tee: "sgx" });
  const tdx = platform.collateral({ tee: "tdx" });
  const [quote, tdQuote] = [platform.quote(enclave), platform.tdQuote(domain)];
  assert.throws(() => appraise({ quote }, tdx, anchors, now), { code: /TEE_MISMATCH$/ });
  assert.throws(() => appraise({ quote: tdQuote }, sgx, anchors, now), { code: /TEE_MISMATCH$/ });
});

test("a changed bit in every region of a quote is refused", () => {
  const quote = platform.quote(enclave);
  // Header, measurement, signer, report data, quote signature, attestation key, QE report, its signature, authentication data.
  for (const offset of [28, 112, 176, 368, 436, 500, 564, 948, 1014, 1046]) {
    const changed = quote.slice();
    changed[offset]! ^= 1;
    assert.throws(() => accept(changed), AttestationError, String(offset));
  }
});

test("fields of wrong lengths are refused when a quote is made", () => {
  assert.throws(() => platform.quote({ ...enclave, mrenclave: new Uint8Array(31) }), RangeError);
  assert.throws(() => platform.quote({ ...enclave, reportData: new Uint8Array(65) }), RangeError);
  assert.throws(() => platform.quote({ ...enclave, configId: new Uint8Array(63) }), RangeError);
  assert.throws(() => platform.tdQuote({ ...domain, mrtd: new Uint8Array(32) }), RangeError);
  assert.throws(() => platform.tdQuote({ ...domain, rtmrs: Array.from({ length: 5 }, () => domain.mrtd) }), RangeError);
});

test("a saved platform is the same one after a restart, with its revocations", () => {
  const first = make({ name: "laptop", pckCa: "processor" });
  const quote = first.quote(enclave);
  const again = restoreSimulatedPlatform(first.save());
  assert.deepEqual(again.trustAnchor, first.trustAnchor);
  assert.equal(accept(quote, again).anchor, "laptop");
  assert.equal(accept(again.quote(enclave), first).tcb.status, "UpToDate");
  first.revokeTcbSigner();
  refuses("TCB_SIGNER_REVOKED", quote, restoreSimulatedPlatform(first.save()));
  first.revokePck();
  refuses("PCK_CERTIFICATE_REVOKED", quote, restoreSimulatedPlatform(first.save()));
  assert.equal(String(first.save()), "[secret]");
});

test("text that is no saved platform is refused", () => {
  const saved = fromUtf8(platform.save().reveal()) ?? assert.fail("not text");
  const texts = [
    "{}",
    "[]",
    saved.replace("platform/1", "platform/2"),
    saved.replace('"now":', '"then":'),
    `${saved} `,
  ];
  for (const text of texts) assert.throws(() => restoreSimulatedPlatform(new Secret(utf8(text), "test")));
});
