import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { concatBytes, Secret, utf8 } from "@cloister/encoding";
import { encodePem, parsePem } from "@cloister/encoding/pem";
import { decodeCollateral } from "./collateral.ts";
import { decodeCrlBody } from "./collateral-request.ts";
import { appraise } from "../appraisal/appraise.ts";
import { explainAppraisal, type AppraisalErrorCode } from "../appraisal/appraisal-codes.ts";
import { NodeCrypto } from "../appraisal/node-crypto.ts";
import { parseQuote, stripZeroPadding } from "../quote/quote.ts";
import { quotedPlatform } from "./quoted-platform.ts";
import { outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { createSimulatedPlatform, restoreSimulatedPlatform } from "../simulated/index.ts";
import { sha256, verifySignature, type VerifyRequest } from "../appraisal/steps.ts";
import { verifyCollateral } from "./verify-collateral.ts";

const NOW = new Date("2026-03-10T12:00:00Z");
const ENCLAVE = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32), reportData: new Uint8Array(1) };
const platform = createSimulatedPlatform({ now: NOW });
const quote = platform.quote(ENCLAVE);
const collateral = platform.collateral();
const anchors = [platform.trustAnchor];
const kind = quotedPlatform(quote);

test("collateral for the kind of platform is taken, and says how fresh it is", () => {
  const { latestIssue, earliestExpiry } = verifyCollateral(collateral, kind, anchors, NOW);
  assert.ok(latestIssue <= NOW && NOW <= earliestExpiry);
});

test("collateral for another kind of platform is refused", () => {
  const cases = [
    [{ ...kind, tee: "tdx" }, collateral, "TCB_INFO_TEE_MISMATCH"],
    [kind, platform.collateral({ tee: "tdx" }), "TCB_INFO_TEE_MISMATCH"],
    [kind, { ...collateral, qeIdentity: platform.collateral({ tee: "tdx" }).qeIdentity }, "QE_IDENTITY_TEE_MISMATCH"],
    [
      { ...kind, tee: "tdx" },
      { ...platform.collateral({ tee: "tdx" }), qeIdentity: collateral.qeIdentity },
      "QE_IDENTITY_TEE_MISMATCH",
    ],
    [{ ...kind, fmspc: "53494d000002" }, collateral, "FMSPC_MISMATCH"],
    [{ ...kind, fmspc: "no hex" }, collateral, "FMSPC_MISMATCH"],
  ] as const;
  for (const [asked, served, code] of cases) {
    assert.equal(
      outcomeOf(() => verifyCollateral(served, asked, anchors, NOW)),
      code,
    );
  }
});

test("collateral of a revoked CA is refused without a quote too", () => {
  const revoked = createSimulatedPlatform({ now: NOW });
  revoked.revokePckCa();
  assert.equal(
    outcomeOf(() => verifyCollateral(revoked.collateral(), kind, [revoked.trustAnchor], NOW)),
    "PCK_CA_REVOKED",
  );
});

test("items of a Processor CA's extension under the Platform CA are refused", () => {
  const state = JSON.parse(new TextDecoder().decode(platform.save().reveal())) as Record<string, unknown>;
  for (const [pckCa, tcbLevel, outcome] of [
    ["platform", "SWHardeningNeeded", "accepted"],
    ["processor", "OutOfDate", "PCK_EXTENSION_MALFORMED"],
  ] as const) {
    // The saved form is canonical, so its members stay in their order.
    const text = JSON.stringify({ ...state, pckCa });
    const other = restoreSimulatedPlatform(new Secret(utf8(text), "test"));
    const evidence = { quote: other.quote({ ...ENCLAVE, tcbLevel }) };
    assert.equal(
      outcomeOf(() => appraise(evidence, collateral, anchors, NOW)),
      outcome,
    );
  }
});

/** The quote with another certificate chain; the lengths are put right, the signatures hold. */
function withChain(chain: Uint8Array): Uint8Array {
  const { signatureData } = parseQuote(quote);
  const at = quote.length - signatureData.pckChain.length;
  const changed = concatBytes(quote.subarray(0, at), chain);
  const view = new DataView(changed.buffer);
  view.setUint32(432, changed.length - 436, true);
  view.setUint32(at - 4, chain.length, true);
  return changed;
}

test("a quote says which collateral it needs, as far as its chain can be read", () => {
  assert.deepEqual(kind, { tee: "sgx", fmspc: "53494d000001", pckCa: "platform" });
  const processor = createSimulatedPlatform({ now: NOW, pckCa: "processor" });
  assert.equal(quotedPlatform(processor.quote(ENCLAVE)).pckCa, "processor");
  const text = new TextDecoder().decode(parseQuote(quote).signatureData.pckChain).replace("\0", "");
  const [leaf = new Uint8Array()] = parsePem(text, "CERTIFICATE");
  for (const [chain, code] of [
    [utf8(encodePem("CERTIFICATE", leaf)), "PCK_CHAIN_LENGTH"],
    [Uint8Array.of(0xff), "PCK_CHAIN_MALFORMED"],
    [new Uint8Array(), "PCK_CHAIN_MALFORMED"],
    [utf8(text.repeat(1)), "accepted"],
  ] as const) {
    assert.equal(
      outcomeOf(() => quotedPlatform(withChain(chain))),
      code,
    );
  }
});

test("padding of more than a quote can be long is refused before it is looked at", () => {
  assert.equal(
    outcomeOf(() => stripZeroPadding(new Uint8Array(16 * 1024 + 1))),
    "QUOTE_TOO_LARGE",
  );
});

test("stored collateral that is too long, or not UTF-8, is refused", () => {
  for (const bytes of [new Uint8Array((1 << 23) + 1).fill(0x20), Uint8Array.of(0xff)]) {
    assert.equal(
      outcomeOf(() => decodeCollateral(bytes)),
      "COLLATERAL_MALFORMED",
    );
  }
});

test("a revocation list comes as DER, hex or one PEM block", () => {
  const { pckCrl } = collateral;
  const pem = encodePem("X509 CRL", pckCrl);
  assert.deepEqual(decodeCrlBody(pckCrl), pckCrl);
  assert.deepEqual(decodeCrlBody(utf8(Buffer.from(pckCrl).toString("hex").toUpperCase())), pckCrl);
  assert.deepEqual(decodeCrlBody(utf8(pem)), pckCrl);
  for (const body of [utf8(pem + pem), Uint8Array.of(0xff), utf8("3"), utf8("31"), new Uint8Array()]) {
    assert.equal(
      outcomeOf(() => decodeCrlBody(body)),
      "COLLATERAL_RESPONSE_MALFORMED",
    );
  }
});

test("a driver that gives no digest is a bug, and no refusal", () => {
  for (const answer of [true, new Uint8Array(31)]) {
    const steps = sha256(new Uint8Array());
    steps.next();
    assert.throws(() => steps.next(answer), TypeError);
  }
});

test("only the answer true is a signature that verifies", () => {
  const steps = verifySignature(new Uint8Array(), new Uint8Array(), new Uint8Array());
  steps.next();
  assert.deepEqual(steps.next(new Uint8Array(32)), { done: true, value: false });
});

test("keys that are forgotten are imported again", () => {
  const crypto = new NodeCrypto();
  const message = utf8("signed");
  const questions = Array.from({ length: 300 }, (): VerifyRequest => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const point = publicKey.export({ type: "spki", format: "der" }).subarray(-65);
    const signature = sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    return { kind: "verify", publicKey: new Uint8Array(point), message, signature: new Uint8Array(signature) };
  });
  for (const question of [...questions, ...questions.slice(0, 3)]) assert.equal(crypto.answer(question), true);
  const [first] = questions;
  assert.ok(first !== undefined);
  assert.equal(crypto.answer({ ...first, publicKey: first.publicKey.with(64, 0).with(63, 0) }), false);
});

test("a code that is none of the appraisal's has no explanation there", () => {
  assert.throws(() => explainAppraisal("COLLATERAL_MALFORMED" as unknown as AppraisalErrorCode), TypeError);
});
