import assert from "node:assert/strict";
import { test } from "node:test";
import { diffPolicies, importRaConfig, parsePolicy, planPolicy, type PolicyClaims, replay } from "./index.ts";

const OPTIONS = { name: "serving", keyId: "default" };
const AT = "2026-06-01T00:00:00.000Z";

const raConfig = {
  verify_mr_enclave: "on",
  verify_mr_signer: "on",
  verify_isv_prod_id: "on",
  verify_isv_svn: "on",
  mrs: [{ mr_enclave: "E1".repeat(32), mr_signer: "51".repeat(32), isv_prod_id: 0, isv_svn: "2" }],
};

const claims = (isvSvn: number, mrenclave = "e1"): PolicyClaims => ({
  tee: "sgx",
  simulated: false,
  anchorSha256: "11".repeat(32),
  service: null,
  debug: false,
  sgx: { mrenclave: mrenclave.repeat(32), mrsigner: "51".repeat(32), isvProdId: 0, isvSvn },
  tdx: null,
  tcbStatus: "UpToDate",
  advisoryIds: [],
  evaluationDataNumber: 17,
  earliestIssue: AT,
  earliestExpiry: AT,
  fmspc: "00606a000000",
  ppid: "99".repeat(16),
});

test("the original's file becomes a production policy whose security version is a minimum", () => {
  const { policy, notes } = importRaConfig(raConfig, OPTIONS);
  const at = new Date(AT);
  assert.equal(policy.production, true);
  assert.equal(replay(policy, claims(2), at).allowed, true);
  assert.equal(replay(policy, claims(3), at).allowed, true);
  assert.equal(replay(policy, claims(1), at).allowed, false);
  assert.equal(replay(policy, { ...claims(2), debug: true }, at).allowed, false);
  assert.ok(notes.length >= 4);
});

test("a switch that is off is told, and the other fields still have to match", () => {
  const { policy, notes } = importRaConfig({ ...raConfig, verify_mr_enclave: "off" }, OPTIONS);
  assert.equal(replay(policy, claims(2, "77"), new Date(AT)).allowed, true);
  assert.equal(replay(policy, claims(1, "77"), new Date(AT)).allowed, false);
  assert.ok(notes.some(({ what }) => what.startsWith("verify_mr_enclave is off")));
});

const refused: [string, unknown][] = [
  ["a switch that is true", { ...raConfig, verify_mr_enclave: true }],
  ["a switch in capitals", { ...raConfig, verify_mr_enclave: "ON" }],
  ["all switches off", Object.fromEntries(Object.entries(raConfig).map(([k, v]) => [k, v === "on" ? "off" : v]))],
  ["signer without version", { ...raConfig, verify_mr_enclave: "off", verify_isv_svn: "off" }],
  ["no measurements", { ...raConfig, mrs: [] }],
  ["a version in words", { ...raConfig, mrs: [{ ...raConfig.mrs[0], isv_svn: "two" }] }],
  ["a version of 17 bits", { ...raConfig, mrs: [{ ...raConfig.mrs[0], isv_svn: "65536" }] }],
  ["a missing field", { ...raConfig, mrs: [{ mr_enclave: "e1".repeat(32) }] }],
];
for (const [what, value] of refused) {
  test(`an original file with ${what} is POLICY_MALFORMED`, () => {
    assert.throws(() => importRaConfig(value, OPTIONS), { code: "POLICY_MALFORMED" });
  });
}

const policy = (isvSvn: number, extra: object = {}) =>
  parsePolicy({
    schema: "cloister-policy/1",
    workloads: [
      {
        name: "digits",
        identities: [{ tee: "sgx", mrsigner: "51".repeat(32), isvProdId: 0, minimumIsvSvn: isvSvn }],
        platforms: [{ kind: "intel" }],
        secrets: { keyId: "digits/1" },
        ...extra,
      },
    ],
  });

test("a diff names the paths that differ, workloads by name", () => {
  assert.deepEqual(diffPolicies(policy(1), policy(1)), []);
  assert.deepEqual(diffPolicies(policy(1), policy(1, { secrets: { keyId: "digits/2" } })), [
    { path: "workloads.digits.secrets.keyId", before: '"digits/1"', after: '"digits/2"' },
  ]);
  const renamed = new Set(diffPolicies(policy(1), policy(1, { name: "letters" })).map(({ path }) => path));
  assert.ok(renamed.has("workloads.digits.debug") && renamed.has("workloads.letters.debug"));
});

test("a plan tells which past releases the next policy refuses, allows or gives something else", () => {
  const past = [1, 2, 3].map((isvSvn, index) => ({ index, time: AT, released: true, claims: claims(isvSvn) }));
  assert.deepEqual(planPolicy(policy(2), policy(3), past), [
    { index: 1, effect: "now refused", codes: ["SVN_TOO_LOW"], released: true, servesUntil: null },
  ]);
  assert.deepEqual(planPolicy(policy(3), policy(2), past), [
    { index: 1, effect: "now allowed", codes: [], released: true, servesUntil: null },
  ]);
  assert.deepEqual(planPolicy(policy(3), policy(3, { secrets: { keyId: "digits/2" } }), past), [
    { index: 2, effect: "other secrets", codes: [], released: true, servesUntil: null },
  ]);
});

test("a plan tells until when an enclave can serve: its lease, its certificate, or without end", () => {
  const until = (secrets: object, released = true) => {
    const past = [{ index: 0, time: AT, released, claims: claims(2) }];
    return planPolicy(policy(2, { secrets: { keyId: "digits/1", ...secrets } }), policy(3), past)[0];
  };
  const serving = {
    model: { name: "digits", version: 1, minimumGeneration: 0 },
    serving: { dnsNames: ["replica.test"], validitySeconds: 3600 },
  };
  const after = (seconds: number): string => new Date(Date.parse(AT) + seconds * 1000).toISOString();
  assert.equal(until({})?.servesUntil, null);
  assert.equal(until(serving)?.servesUntil, after(3600));
  assert.equal(until({ ...serving, leaseSeconds: 600 })?.servesUntil, after(600));
  assert.equal(until({ ...serving, leaseSeconds: 7200 })?.servesUntil, after(3600));
  assert.equal(until({}, false)?.released, false);
});

test("a plan replays 10,000 releases", () => {
  const past = Array.from({ length: 10_000 }, (_, index) => ({
    index,
    time: AT,
    released: true,
    claims: claims(index % 5),
  }));
  assert.equal(planPolicy(policy(2), policy(3), past).length, 2000);
});
