import assert from "node:assert/strict";
import { test } from "node:test";
import { APPRAISAL_EXPLANATIONS } from "./appraisal-codes.ts";
import { stepsUntil } from "./appraisal-steps.ts";
import { appraiseBundle, loadCase } from "../rim/testing/dcap-bundle.ts";

test("every code of an appraisal belongs to a step, the time to none", () => {
  for (const code of APPRAISAL_EXPLANATIONS.keys()) {
    assert.equal(stepsUntil(code) === undefined, code === "TIME_INVALID", code);
  }
});

test("a refusal tells which steps passed", () => {
  assert.deepEqual(stepsUntil("QUOTE_MALFORMED"), { passed: [], failed: "quote-structure" });
  assert.deepEqual(stepsUntil("PCK_CERTIFICATE_REVOKED"), {
    passed: ["quote-structure", "trust-anchor", "root-crl", "pck-chain"],
    failed: "pck-crl",
  });
  assert.equal(stepsUntil("COLLATERAL_NOT_FOUND"), undefined);
});

test("the steps are those of the claims", () => {
  const { checked } = appraiseBundle(loadCase("tdx4-20a06f-uptodate/valid"));
  const last = stepsUntil("TCB_REVOKED");
  assert.deepEqual(checked, [...(last?.passed ?? []), last?.failed]);
});
