import assert from "node:assert/strict";
import { test } from "node:test";
import { APPRAISAL_EXPLANATIONS } from "./appraisal/appraisal-codes.ts";
import { AttestationError, explain, isAttestationCode, refusal } from "./errors.ts";

test("every code of an appraisal says what, why and what to do", () => {
  assert.ok(APPRAISAL_EXPLANATIONS.size > 70);
  for (const [code, { what, why, remedy }] of APPRAISAL_EXPLANATIONS) {
    assert.match(code, /^[A-Z][A-Z_]+$/);
    assert.ok(what.length > 5 && why.length > 5 && remedy.length > 5, code);
    assert.deepEqual(explain(code), { what, why, remedy });
  }
});

test("codes of the other groups are explained too, and nothing else is a code", () => {
  for (const code of [
    "COLLATERAL_MALFORMED",
    "RA_TLS_EXPIRED",
    "QCNL_INSECURE_TLS",
    "MAA_KEY_UNKNOWN",
    "ITEM_UNKNOWN",
  ]) {
    assert.ok(isAttestationCode(code), code);
    assert.ok(explain(code).remedy.length > 5);
  }
  for (const other of ["", "constructor", "toString", "maa_key_unknown"]) assert.equal(isAttestationCode(other), false);
});

test("a refusal keeps its cause and has the code's text", () => {
  const cause = new Error("lower");
  const error = refusal("PCK_CRL_EXPIRED", cause);
  assert.ok(error instanceof AttestationError);
  assert.equal(error.cause, cause);
  assert.equal(
    error.message,
    "revocation list of the PCK CA refused - its validity is over at the verification time - fetch the collateral again, and check the collateral service",
  );
});
