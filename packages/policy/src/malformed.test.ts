import assert from "node:assert/strict";
import { test } from "node:test";
import { anything, assert as check, property } from "fast-check";
import { parsePolicy } from "./parse.ts";
import { PolicyError } from "./policy-error.ts";

const good = () => ({
  schema: "cloister-policy/1",
  workloads: [
    {
      name: "digits",
      identities: [{ tee: "sgx", mrenclave: "e1".repeat(32) }] as unknown[],
      platforms: [{ kind: "intel" }] as unknown[],
      secrets: { keyId: "digits/1" } as Record<string, unknown>,
    } as Record<string, unknown>,
  ],
});

const withWorkload = (change: Record<string, unknown>): unknown => {
  const policy = good();
  Object.assign(policy.workloads[0]!, change);
  return policy;
};

const sgx = (identity: Record<string, unknown>): unknown => withWorkload({ identities: [{ tee: "sgx", ...identity }] });

const AZURE = "https://shared.cus.attest.azure.net";
const service = (...platforms: Record<string, unknown>[]): unknown => withWorkload({ platforms });

const cases: [string, unknown, string][] = [
  ["nothing", undefined, "POLICY_MALFORMED"],
  ["null", null, "POLICY_MALFORMED"],
  ["a list", [], "POLICY_MALFORMED"],
  ["no schema", { workloads: [] }, "POLICY_MALFORMED"],
  ["another schema", { ...good(), schema: "cloister-policy/2" }, "POLICY_MALFORMED"],
  ["an unknown key at the top", { ...good(), verify: "off" }, "POLICY_MALFORMED"],
  ["an unknown key in a workload", withWorkload({ verifyMrEnclave: false }), "POLICY_MALFORMED"],
  ["an unknown key in an identity", sgx({ mrenclave: "e1".repeat(32), mr_signer: "x" }), "POLICY_MALFORMED"],
  ["no identity", withWorkload({ identities: [] }), "POLICY_MALFORMED"],
  ["an identity that names nothing", sgx({}), "POLICY_MALFORMED"],
  ["a signer without version", sgx({ mrsigner: "51".repeat(32), isvProdId: 1 }), "POLICY_MALFORMED"],
  ["a measurement of 31 bytes", sgx({ mrenclave: "e1".repeat(31) }), "POLICY_MALFORMED"],
  ["a measurement of 33 bytes", sgx({ mrenclave: "e1".repeat(33) }), "POLICY_MALFORMED"],
  ["a measurement with 0x", sgx({ mrenclave: `0x${"e1".repeat(31)}` }), "POLICY_MALFORMED"],
  ["a measurement with a newline", sgx({ mrenclave: `${"e1".repeat(32)}\n` }), "POLICY_MALFORMED"],
  ["the word any for a measurement", sgx({ mrenclave: "any" }), "POLICY_MALFORMED"],
  ["a version in quotes", sgx({ mrenclave: "e1".repeat(32), minimumIsvSvn: "3" }), "POLICY_MALFORMED"],
  ["a version that is true", sgx({ mrenclave: "e1".repeat(32), minimumIsvSvn: true }), "POLICY_MALFORMED"],
  ["a version with a fraction", sgx({ mrenclave: "e1".repeat(32), minimumIsvSvn: 1.5 }), "POLICY_MALFORMED"],
  ["a version of 17 bits", sgx({ mrenclave: "e1".repeat(32), minimumIsvSvn: 65_536 }), "POLICY_MALFORMED"],
  ["a negative version", sgx({ mrenclave: "e1".repeat(32), minimumIsvSvn: -1 }), "POLICY_MALFORMED"],
  ["debug in words", withWorkload({ debug: "off" }), "POLICY_MALFORMED"],
  ["no platform", withWorkload({ platforms: [] }), "POLICY_MALFORMED"],
  ["an unknown platform", withWorkload({ platforms: [{ kind: "any" }] }), "POLICY_MALFORMED"],
  ["a simulated platform without anchor", withWorkload({ platforms: [{ kind: "simulated" }] }), "POLICY_MALFORMED"],
  ["a service without address", service({ kind: "maa" }), "POLICY_MALFORMED"],
  ["a service elsewhere", service({ kind: "maa", url: "https://attest.azure.net.evil.test" }), "POLICY_MALFORMED"],
  ["a service without TLS", service({ kind: "maa", url: "http://shared.cus.attest.azure.net" }), "POLICY_MALFORMED"],
  ["a service with a path", service({ kind: "maa", url: `${AZURE}/x` }), "POLICY_MALFORMED"],
  ["a service beside Intel", service({ kind: "maa", url: AZURE }, { kind: "intel" }), "POLICY_MALFORMED"],
  [
    "rules for a TCB that a service judges",
    withWorkload({ platforms: [{ kind: "maa", url: AZURE }], tcb: { minimumEvaluationDataNumber: 17 } }),
    "POLICY_MALFORMED",
  ],
  [
    "a trust domain before a service",
    withWorkload({ platforms: [{ kind: "maa", url: AZURE }], identities: [{ tee: "tdx", mrtd: "d0".repeat(48) }] }),
    "POLICY_MALFORMED",
  ],
  [
    "a simulated service in production",
    service({ kind: "simulated-maa", url: "https://127.0.0.1:8443" }),
    "POLICY_SIMULATED_IN_PRODUCTION",
  ],
  ["the status Revoked", withWorkload({ tcb: { statuses: ["Revoked"] } }), "POLICY_MALFORMED"],
  ["no status", withWorkload({ tcb: { statuses: [] } }), "POLICY_MALFORMED"],
  ["an advisory in short", withWorkload({ tcb: { acceptedAdvisories: ["SA-615"] } }), "POLICY_MALFORMED"],
  ["an empty allow-list", withWorkload({ fmspcs: [] }), "POLICY_MALFORMED"],
  ["a local time", withWorkload({ validity: { notAfter: "2026-01-01 00:00" } }), "POLICY_MALFORMED"],
  ["no key", withWorkload({ secrets: {} }), "POLICY_MALFORMED"],
  ["a key id with dots and slashes first", withWorkload({ secrets: { keyId: "../etc" } }), "POLICY_MALFORMED"],
  [
    "a model without serving identity",
    withWorkload({ secrets: { keyId: "k", model: { name: "m", version: 1, minimumGeneration: 1 } } }),
    "POLICY_MALFORMED",
  ],
  [
    "a model without minimum generation",
    withWorkload({ secrets: { keyId: "k", model: { name: "m", version: 1 } } }),
    "POLICY_MALFORMED",
  ],
  [
    "a simulated platform in production",
    withWorkload({ platforms: [{ kind: "simulated", anchorSha256: "aa".repeat(32) }] }),
    "POLICY_SIMULATED_IN_PRODUCTION",
  ],
  ["a debug enclave in production", withWorkload({ debug: true }), "POLICY_DEBUG_IN_PRODUCTION"],
  ["one name twice", { ...good(), workloads: [...good().workloads, ...good().workloads] }, "POLICY_DUPLICATE_WORKLOAD"],
  [
    "a window that is empty",
    withWorkload({ validity: { notBefore: "2026-01-02T00:00:00Z", notAfter: "2026-01-02T00:00:00Z" } }),
    "POLICY_EMPTY_WINDOW",
  ],
];

for (const [what, value, code] of cases) {
  test(`${what} is ${code}`, () => {
    assert.throws(() => parsePolicy(value), { name: "PolicyError", code });
  });
}

test("the good policy of these cases is good", () => {
  assert.equal(parsePolicy(good()).production, true);
});

test("an error names the path and never the value", () => {
  assert.throws(
    () => parsePolicy(sgx({ mrenclave: "hunter2" })),
    (error: Error) =>
      error.message.includes("workloads.0.identities.0.mrenclave") && !error.message.includes("hunter2"),
  );
});

test("any value is a policy or a PolicyError", () => {
  check(
    property(anything(), (value) => {
      try {
        parsePolicy(value);
      } catch (error) {
        assert.ok(error instanceof PolicyError);
      }
    }),
  );
});

test("a parsed policy cannot be changed", () => {
  const policy = parsePolicy(good());
  assert.equal(Object.isFrozen(policy.workloads[0]?.identities[0]), true);
});
