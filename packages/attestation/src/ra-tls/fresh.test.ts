import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex } from "@cloister/encoding";
import { appraiseFreshEvidence, createFreshEvidence, quoteOfFreshEvidence } from "./fresh.ts";
import { encodeClaims, encodeTaggedEvidence } from "./evidence.ts";
import { anchors, collateral, NOW, p256, quoteOver, sha256, spkiOf } from "../testing/ra-tls-fixture.ts";
import { createVerifier } from "../appraisal/verifier.ts";

const verifier = createVerifier({ anchors });
const spki = spkiOf(p256());
const nonce = new Uint8Array(32).fill(7);
const challenge = { spki, nonce };
const quote = (reportData: Uint8Array) => Promise.resolve(quoteOver(reportData));
const appraise = (evidence: Uint8Array, asked = challenge) =>
  appraiseFreshEvidence(verifier, evidence, asked, collateral, NOW);

test("evidence over the challenge gives the enclave's claims", async () => {
  const evidence = await createFreshEvidence(challenge, quote);
  assert.equal(appraise(evidence).sgx?.isvProdId, 7);
  assert.ok(quoteOfFreshEvidence(evidence).length > 1000);
});

test("evidence for another nonce is refused: a recording proves nothing", async () => {
  const recorded = await createFreshEvidence({ spki, nonce: new Uint8Array(32).fill(8) }, quote);
  assert.throws(() => appraise(recorded), { code: "RA_TLS_NONCE_MISMATCH" });
  const shorter = await createFreshEvidence({ spki, nonce: nonce.subarray(1) }, quote);
  assert.throws(() => appraise(shorter), { code: "RA_TLS_NONCE_MISMATCH" });
});

test("evidence for another key is refused: a relay has its own", async () => {
  const relayed = await createFreshEvidence({ spki: spkiOf(p256()), nonce }, quote);
  assert.throws(() => appraise(relayed), { code: "RA_TLS_PUBKEY_HASH_MISMATCH" });
});

test("a quote that is not over the claims is refused", () => {
  const claims = encodeClaims(sha256(spki), nonce);
  const foreign = encodeTaggedEvidence(quoteOver(sha256(spki)), claims);
  assert.throws(() => appraise(foreign), { code: "RA_TLS_REPORT_DATA_MISMATCH" });
  const tail = new Uint8Array(64).fill(1);
  tail.set(sha256(claims));
  assert.throws(() => appraise(encodeTaggedEvidence(quoteOver(tail), claims)), {
    code: "RA_TLS_REPORT_DATA_TAIL_NOT_ZERO",
  });
});

test("evidence without a nonce, or that is no evidence, is refused", () => {
  const claims = encodeClaims(sha256(spki));
  assert.throws(() => appraise(encodeTaggedEvidence(quoteOver(sha256(claims)), claims)), {
    code: "RA_TLS_NONCE_MISMATCH",
  });
  assert.throws(() => appraise(fromHex("80") ?? new Uint8Array()), { code: "RA_TLS_EVIDENCE_MALFORMED" });
});

test("a nonce that could be guessed or is too long is not used", async () => {
  for (const length of [0, 15, 65]) {
    await assert.rejects(createFreshEvidence({ spki, nonce: new Uint8Array(length) }, quote), RangeError);
    assert.throws(() => appraise(new Uint8Array(), { spki, nonce: new Uint8Array(length) }), RangeError);
  }
});
