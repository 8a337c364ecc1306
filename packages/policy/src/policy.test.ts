import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate, parsePolicy, type PolicyClaims, policySha256, REFUSE_ALL, replay } from "./index.ts";
import type { VerifiedClaims } from "@cloister/attestation";

const AT = new Date("2026-06-01T00:00:00Z");
const HEX = (byte: string, bytes: number): string => byte.repeat(bytes);
const ANCHOR = HEX("aa", 32);

const claims: PolicyClaims = {
  tee: "sgx",
  simulated: false,
  anchorSha256: HEX("11", 32),
  service: null,
  debug: false,
  sgx: { mrenclave: HEX("e1", 32), mrsigner: HEX("51", 32), isvProdId: 7, isvSvn: 3 },
  tdx: null,
  tcbStatus: "UpToDate",
  advisoryIds: [],
  evaluationDataNumber: 17,
  earliestIssue: "2026-05-20T00:00:00.000Z",
  earliestExpiry: "2026-06-20T00:00:00.000Z",
  fmspc: "00606a000000",
  ppid: HEX("99", 16),
};

const workload = {
  name: "digits",
  identities: [{ tee: "sgx", mrenclave: HEX("e1", 32) }],
  platforms: [{ kind: "intel" }],
  secrets: { keyId: "digits/1" },
};

const policyWith = (overrides: Record<string, unknown>, production = true): ReturnType<typeof parsePolicy> =>
  parsePolicy({ schema: "cloister-policy/1", production, workloads: [{ ...workload, ...overrides }] });

const codes = (
  overrides: Record<string, unknown>,
  changed: Partial<PolicyClaims> = {},
  at = AT,
  production = true,
): string[] => {
  const decision = replay(policyWith(overrides, production), { ...claims, ...changed }, at);
  return decision.allowed ? [] : decision.denials.map((denial) => denial.code);
};

test("the named enclave on an up to date platform is allowed, with rule and secret", () => {
  const decision = replay(policyWith({}), claims, AT);
  assert.ok(decision.allowed);
  assert.equal(decision.workload, "digits");
  assert.equal(decision.rule, "workloads.digits.identities.0");
  assert.equal(decision.secrets.keyId, "digits/1");
  assert.equal(decision.secrets.encoding, "raw16");
});

test("the default policy and a policy without workloads accept nothing", () => {
  for (const policy of [REFUSE_ALL, parsePolicy({ schema: "cloister-policy/1" })]) {
    const decision = replay(policy, claims, AT);
    assert.ok(!decision.allowed);
    assert.deepEqual(
      decision.denials.map(({ code }) => code),
      ["NO_WORKLOAD_MATCHES"],
    );
  }
});

const signer = { tee: "sgx", mrsigner: HEX("51", 32), isvProdId: 7, minimumIsvSvn: 3 };
const sgx = claims.sgx!;

const denials: [string, Record<string, unknown>, Partial<PolicyClaims>, string[]][] = [
  ["another measurement", {}, { sgx: { ...sgx, mrenclave: HEX("e2", 32) } }, ["MEASUREMENT_NOT_ALLOWED"]],
  ["another signer", { identities: [signer] }, { sgx: { ...sgx, mrsigner: HEX("52", 32) } }, ["SIGNER_NOT_ALLOWED"]],
  ["another product", { identities: [signer] }, { sgx: { ...sgx, isvProdId: 8 } }, ["PRODUCT_ID_NOT_ALLOWED"]],
  ["a lower version", { identities: [signer] }, { sgx: { ...sgx, isvSvn: 2 } }, ["SVN_TOO_LOW"]],
  ["a higher version", { identities: [signer] }, { sgx: { ...sgx, isvSvn: 4 } }, []],
  ["a debug enclave", {}, { debug: true }, ["DEBUG_ENCLAVE"]],
  ["a simulated platform", {}, { simulated: true, anchorSha256: ANCHOR }, ["SIMULATED_NOT_ALLOWED"]],
  ["an out of date platform", {}, { tcbStatus: "OutOfDate" }, ["TCB_STATUS_NOT_ALLOWED"]],
  ["a status nobody knows", {}, { tcbStatus: "Wonderful" }, ["TCB_STATUS_NOT_ALLOWED"]],
  ["an open advisory", {}, { advisoryIds: ["INTEL-SA-00615"] }, ["ADVISORY_NOT_ACCEPTED"]],
  [
    "an accepted advisory",
    { tcb: { acceptedAdvisories: ["INTEL-SA-00615"] } },
    { advisoryIds: ["INTEL-SA-00615"] },
    [],
  ],
  ["an old evaluation", { tcb: { minimumEvaluationDataNumber: 18 } }, {}, ["EVALUATION_NUMBER_TOO_LOW"]],
  ["old collateral", { tcb: { maximumCollateralAgeDays: 11 } }, {}, ["COLLATERAL_TOO_OLD"]],
  ["collateral just in time", { tcb: { maximumCollateralAgeDays: 12 } }, {}, []],
  [
    "collateral without a date",
    { tcb: { maximumCollateralAgeDays: 12 } },
    { earliestIssue: "?" },
    ["COLLATERAL_TOO_OLD"],
  ],
  [
    "expired collateral with a weaker status that is allowed (Gramine's verifier lets it pass)",
    { tcb: { statuses: ["UpToDate", "OutOfDate"] } },
    { tcbStatus: "OutOfDate", earliestExpiry: "2026-05-31T23:59:59.999Z" },
    ["COLLATERAL_EXPIRED"],
  ],
  ["an expiry that is no date", {}, { earliestExpiry: "soon" }, ["COLLATERAL_EXPIRED"]],
  [
    "a debug trust domain",
    { identities: [{ tee: "tdx", mrtd: HEX("d1", 48) }] },
    { tee: "tdx", sgx: null, tdx: { mrtd: HEX("d1", 48), rtmrs: [] }, debug: true },
    ["DEBUG_ENCLAVE"],
  ],
  ["another machine type", { fmspcs: ["00606a000001"] }, {}, ["FMSPC_NOT_ALLOWED"]],
  ["another machine", { ppids: [HEX("98", 16)] }, {}, ["PPID_NOT_ALLOWED"]],
  ["a listed machine, in upper case", { fmspcs: ["00606A000000"], ppids: [HEX("99", 16)] }, {}, []],
  ["too early", { validity: { notBefore: "2026-06-01T00:00:01Z" } }, {}, ["OUTSIDE_VALIDITY_WINDOW"]],
  ["too late", { validity: { notAfter: "2026-06-01T00:00:00Z" } }, {}, ["OUTSIDE_VALIDITY_WINDOW"]],
  [
    "a trust domain",
    {},
    { tee: "tdx", sgx: null, tdx: { mrtd: HEX("00", 48), rtmrs: [] } },
    ["MEASUREMENT_NOT_ALLOWED"],
  ],
  [
    "all at once",
    {},
    { debug: true, tcbStatus: "OutOfDate", sgx: { ...sgx, mrenclave: HEX("00", 32) } },
    ["MEASUREMENT_NOT_ALLOWED", "DEBUG_ENCLAVE", "TCB_STATUS_NOT_ALLOWED"],
  ],
];

for (const [what, overrides, changed, expected] of denials) {
  test(`${what}: ${expected.join(", ") || "allowed"}`, () => {
    assert.deepEqual(codes(overrides, changed), expected);
  });
}

test("a time that is not a time is outside every window", () => {
  const window = { validity: { notAfter: "2030-01-01T00:00:00Z" } };
  assert.deepEqual(codes(window, {}, new Date(Number.NaN)), ["COLLATERAL_EXPIRED", "OUTSIDE_VALIDITY_WINDOW"]);
});

test("a trust domain is known by its MRTD and by the run-time measurements that are named", () => {
  const tdx = { mrtd: HEX("d0", 48), rtmrs: [HEX("00", 48), HEX("01", 48), HEX("02", 48), HEX("03", 48)] };
  const identities = [{ tee: "tdx", mrtd: HEX("d0", 48), rtmrs: [null, HEX("01", 48)] }];
  assert.deepEqual(codes({ identities }, { tee: "tdx", sgx: null, tdx }), []);
  const changed = { ...tdx, rtmrs: tdx.rtmrs.with(1, HEX("ff", 48)) };
  assert.deepEqual(codes({ identities }, { tee: "tdx", sgx: null, tdx: changed }), ["MEASUREMENT_NOT_ALLOWED"]);
});

test("a simulated platform is allowed only under the anchor that is named, and then no real one", () => {
  const platforms = [{ kind: "simulated", anchorSha256: ANCHOR.toUpperCase() }];
  assert.deepEqual(codes({ platforms }, { simulated: true, anchorSha256: ANCHOR }, AT, false), []);
  assert.deepEqual(codes({ platforms }, { simulated: true }, AT, false), ["ANCHOR_NOT_ALLOWED"]);
  assert.deepEqual(codes({ platforms }, { simulated: false, anchorSha256: ANCHOR }, AT, false), ["ANCHOR_NOT_ALLOWED"]);
});

test("a denial names rule, claim, expected and got", () => {
  const decision = replay(policyWith({}), { ...claims, tcbStatus: "SWHardeningNeeded" }, AT);
  assert.ok(!decision.allowed);
  assert.deepEqual(decision.denials, [
    {
      code: "TCB_STATUS_NOT_ALLOWED",
      rule: "workloads.digits.tcb.statuses",
      claim: "tcbStatus",
      expected: "UpToDate",
      got: "SWHardeningNeeded",
    },
  ]);
});

test("of several workloads the first that matches decides, and denials come from those that know the enclave", () => {
  const other = { ...workload, name: "other", identities: [{ tee: "sgx", mrenclave: HEX("00", 32) }] };
  const policy = parsePolicy({ schema: "cloister-policy/1", workloads: [other, workload] });
  const allowed = replay(policy, claims, AT);
  assert.equal(allowed.allowed && allowed.workload, "digits");
  const denied = replay(policy, { ...claims, debug: true }, AT);
  assert.deepEqual(!denied.allowed && denied.denials.map(({ rule }) => rule), ["workloads.digits.debug"]);
});

test("evaluate takes its claims from an appraisal", () => {
  const verified = {
    tee: "sgx",
    simulated: false,
    anchorSha256: claims.anchorSha256,
    debug: false,
    sgx: { mrenclave: Buffer.alloc(32, 0xe1), mrsigner: Buffer.alloc(32, 0x51), isvProdId: 7, isvSvn: 3 },
    tcb: { status: "UpToDate", advisoryIds: [], evaluationDataNumber: 17 },
    dates: { earliestIssue: AT, earliestExpiry: AT },
    platform: { fmspc: Buffer.alloc(6), ppid: Buffer.alloc(16) },
  } as unknown as VerifiedClaims;
  assert.equal(evaluate(policyWith({}), verified, AT).allowed, true);
  assert.equal(evaluate(policyWith({}), { ...verified, debug: true }, AT).allowed, false);
});

test("the digest of a policy follows its meaning, not its spelling", () => {
  const upper = policyWith({ identities: [{ mrenclave: HEX("E1", 32), tee: "sgx" }], debug: false });
  assert.equal(policySha256(policyWith({})), policySha256(upper));
  assert.notEqual(policySha256(policyWith({})), policySha256(policyWith({ fmspcs: ["00606a000000"] })));
});

const AZURE = "https://shared.cus.attest.azure.net";
/** What a service vouches for: it does not tell about the TCB. */
const vouched: Partial<PolicyClaims> = {
  service: AZURE,
  tcbStatus: "NotReported",
  evaluationDataNumber: 0,
};

test("a workload that names an attestation service takes its word for the TCB, and nobody else's", () => {
  const platforms = [{ kind: "maa", url: AZURE }];
  assert.deepEqual(codes({ platforms }, vouched), []);
  assert.deepEqual(codes({ platforms }), ["ANCHOR_NOT_ALLOWED"]);
  assert.deepEqual(codes({ platforms }, { ...vouched, service: "https://other.attest.azure.net" }), [
    "ANCHOR_NOT_ALLOWED",
  ]);
  assert.deepEqual(codes({ platforms }, { ...vouched, simulated: true }), ["SIMULATED_NOT_ALLOWED"]);
  assert.deepEqual(codes({ platforms }, { ...vouched, earliestExpiry: "2026-05-31T23:59:59.000Z" }), [
    "COLLATERAL_EXPIRED",
  ]);
  assert.deepEqual(codes({ platforms, debug: false }, { ...vouched, debug: true }), ["DEBUG_ENCLAVE"]);
  assert.deepEqual(codes({ platforms, fmspcs: ["00906ea10000"] }, vouched), ["FMSPC_NOT_ALLOWED"]);
});

test("a service's word does not count where none is named, and the denial says whose it was", () => {
  assert.deepEqual(codes({}, vouched), ["ANCHOR_NOT_ALLOWED", "TCB_STATUS_NOT_ALLOWED"]);
  const decision = replay(policyWith({}), { ...claims, ...vouched }, AT);
  assert.deepEqual(decision.allowed ? undefined : decision.denials[0], {
    code: "ANCHOR_NOT_ALLOWED",
    rule: "workloads.digits.platforms",
    claim: "service",
    expected: "intel",
    got: `maa ${AZURE}`,
  });
});

test("a simulated service is for policies that are not for production, and for simulated claims", () => {
  const url = "https://127.0.0.1:8443";
  const platforms = [{ kind: "simulated-maa", url }];
  assert.deepEqual(codes({ platforms }, { ...vouched, service: url, simulated: true }, AT, false), []);
  assert.deepEqual(codes({ platforms }, { ...vouched, service: url }, AT, false), ["ANCHOR_NOT_ALLOWED"]);
});
