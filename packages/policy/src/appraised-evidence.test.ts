import assert from "node:assert/strict";
import { test } from "node:test";
import { appraise, AttestationError, type TrustAnchor, type VerifiedClaims } from "@cloister/attestation";
import { createSimulatedPlatform, type SimulatedQuoteOptions } from "@cloister/attestation/simulated";
import { evaluate, parsePolicy } from "./index.ts";

// The policy layer's group of the attestation test plan (D.13), from signed evidence to the decision.

const NOW = new Date("2026-03-10T12:00:00Z");
const platform = createSimulatedPlatform({ now: NOW });
const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const ENCLAVE: SimulatedQuoteOptions = {
  mrenclave: bytes(32, 0xe1),
  mrsigner: bytes(32, 0x51),
  isvProdId: 7,
  isvSvn: 3,
  reportData: bytes(32, 1),
};
const DOMAIN = { mrtd: bytes(48, 0xd0), reportData: bytes(32, 1) };

const claimsOf = (quote: Uint8Array, time = NOW, anchors: readonly TrustAnchor[] = [platform.trustAnchor]) => {
  return appraise({ quote }, platform.collateralFor(quote), anchors, time);
};
const enclave = (changes: Partial<SimulatedQuoteOptions> = {}): VerifiedClaims => {
  return claimsOf(platform.quote({ ...ENCLAVE, ...changes }));
};
const simulated = [{ kind: "simulated", anchorSha256: enclave().anchorSha256 }];
const BY_SIGNER = { tee: "sgx", mrsigner: hex(ENCLAVE.mrsigner), isvProdId: 7, minimumIsvSvn: 3 };
const BY_MEASUREMENT = { tee: "sgx", mrenclave: hex(ENCLAVE.mrenclave) };

function codes(claims: VerifiedClaims, workload: Record<string, unknown>): readonly string[] {
  const base = { name: "digits", secrets: { keyId: "digits/1" }, platforms: simulated };
  const policy = parsePolicy({ schema: "cloister-policy/1", production: false, workloads: [{ ...base, ...workload }] });
  const decision = evaluate(policy, claims, NOW);
  return decision.allowed ? [] : decision.denials.map(({ code }) => code);
}

const cases: readonly [string, VerifiedClaims, Record<string, unknown>, readonly string[]][] = [
  ["the enclave that is named", enclave(), { identities: [BY_SIGNER] }, []],
  ["a debug enclave", enclave({ debug: true }), { identities: [BY_SIGNER] }, ["DEBUG_ENCLAVE"]],
  [
    "another measurement",
    enclave({ mrenclave: bytes(32, 0xe2) }),
    { identities: [BY_MEASUREMENT] },
    ["MEASUREMENT_NOT_ALLOWED"],
  ],
  ["another signer", enclave({ mrsigner: bytes(32, 0x52) }), { identities: [BY_SIGNER] }, ["SIGNER_NOT_ALLOWED"]],
  ["another product", enclave({ isvProdId: 8 }), { identities: [BY_SIGNER] }, ["PRODUCT_ID_NOT_ALLOWED"]],
  ["a version below the minimum", enclave({ isvSvn: 2 }), { identities: [BY_SIGNER] }, ["SVN_TOO_LOW"]],
  [
    "a status that is not listed",
    enclave({ tcbLevel: "OutOfDate" }),
    { identities: [BY_SIGNER], tcb: { acceptedAdvisories: null } },
    ["TCB_STATUS_NOT_ALLOWED"],
  ],
  [
    "an evaluation below the floor",
    enclave(),
    { identities: [BY_SIGNER], tcb: { minimumEvaluationDataNumber: 2 } },
    ["EVALUATION_NUMBER_TOO_LOW"],
  ],
  [
    "a simulated root without the switch",
    enclave(),
    { identities: [BY_SIGNER], platforms: [{ kind: "intel" }] },
    ["SIMULATED_NOT_ALLOWED"],
  ],
];

for (const [title, claims, workload, expected] of cases) {
  test(`${title}: ${expected.join(", ") || "allowed"}`, () => {
    assert.deepEqual(codes(claims, workload), expected);
  });
}

test("collateral that has expired is refused before a policy is asked, whatever status the policy allows", () => {
  // The hole of Gramine's verifier: it looks at the expiry only where the status is UpToDate.
  const quote = platform.quote({ ...ENCLAVE, tcbLevel: "SWHardeningNeeded" });
  const { dates, tcb } = claimsOf(quote);
  assert.equal(tcb.status, "SWHardeningNeeded");
  const workload = {
    identities: [BY_SIGNER],
    tcb: { statuses: ["UpToDate", "SWHardeningNeeded"], acceptedAdvisories: null },
  };
  assert.deepEqual(codes(claimsOf(quote), workload), []);
  const late = new Date(dates.earliestExpiry.getTime() + 1000);
  assert.throws(
    () => claimsOf(quote, late),
    (error) => error instanceof AttestationError && error.code.endsWith("_EXPIRED"),
  );
});

test("a trust domain is allowed by its measurement, and refused in debug", () => {
  const workload = { identities: [{ tee: "tdx", mrtd: hex(DOMAIN.mrtd) }] };
  assert.deepEqual(codes(claimsOf(platform.tdQuote(DOMAIN)), workload), []);
  assert.deepEqual(codes(claimsOf(platform.tdQuote({ ...DOMAIN, debug: true })), workload), ["DEBUG_ENCLAVE"]);
});
