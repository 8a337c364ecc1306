import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, fromHex, utf8 } from "@cloister/encoding";
import { encodePem, parsePem } from "@cloister/encoding/pem";
import { appraise } from "./appraise.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { parseQuote } from "../quote/quote.ts";
import { outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";

// Evidence and collateral as an attacker would put them together, on a platform whose keys are at hand: groups D.4, D.5, D.7, D.9
// and D.11 of the test plan, item by item.

const NOW = new Date("2026-03-10T12:00:00Z");
const DAY_MS = 86_400_000;
const ENCLAVE = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32), reportData: new Uint8Array(64) };
const platform = createSimulatedPlatform({ now: NOW });
const stranger = createSimulatedPlatform({ now: NOW });
const quote = platform.quote(ENCLAVE);
const collateral = platform.collateral();

const outcome = (changedQuote: Uint8Array, changes: Partial<Collateral> = {}, time = NOW): string => {
  return outcomeOf(() =>
    appraise({ quote: changedQuote }, { ...collateral, ...changes }, [platform.trustAnchor], time),
  );
};

test("the evidence that these tests change is good as it is", () => {
  assert.equal(outcome(quote), "accepted");
  assert.equal(outcome(stranger.quote(ENCLAVE)), "PCK_CHAIN_ROOT_NOT_TRUSTED");
});

const [QUOTE_SIGNATURE, QE_SIGNATURE] = [436, 948];
const ORDER = fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") ?? new Uint8Array();
const ONE = new Uint8Array(32).with(31, 1);
const ZERO = new Uint8Array(32);
const badSignatures: readonly [string, Uint8Array][] = [
  ["zero", concatBytes(ZERO, ZERO)],
  ["one and one", concatBytes(ONE, ONE)],
  ["the order of the curve, twice", concatBytes(ORDER, ORDER)],
  ["all ones", new Uint8Array(64).fill(0xff)],
  ["the other part's signature", stranger.quote(ENCLAVE).slice(QUOTE_SIGNATURE, QUOTE_SIGNATURE + 64)],
];

for (const [title, signature] of badSignatures) {
  test(`a signature is refused: ${title}`, () => {
    const signed = (offset: number): Uint8Array => {
      const changed = quote.slice();
      changed.set(signature, offset);
      return changed;
    };
    assert.equal(outcome(signed(QUOTE_SIGNATURE)), "QUOTE_SIGNATURE_INVALID");
    assert.equal(outcome(signed(QE_SIGNATURE)), "QE_REPORT_SIGNATURE_INVALID");
  });
}

test("an attestation key that is not the one in the quoting enclave's report is refused", () => {
  const swapped = quote.slice();
  swapped.set(stranger.quote(ENCLAVE).subarray(500, 564), 500);
  assert.equal(outcome(swapped), "QE_REPORT_DATA_MISMATCH");
});

/** The quote with another chain, its lengths put right. */
function withChain(...certificates: readonly Uint8Array[]): Uint8Array {
  const chain = utf8(certificates.map((certificate) => encodePem("CERTIFICATE", certificate)).join(""));
  const at = quote.length - parseQuote(quote).signatureData.pckChain.length;
  const changed = concatBytes(quote.subarray(0, at), chain);
  const view = new DataView(changed.buffer);
  view.setUint32(432, changed.length - 436, true);
  view.setUint32(at - 4, chain.length, true);
  return changed;
}

function chainOf(bytes: Uint8Array): readonly [Uint8Array, Uint8Array, Uint8Array] {
  const text = new TextDecoder().decode(parseQuote(bytes).signatureData.pckChain).replace("\0", "");
  const [leaf, ca, root] = parsePem(text, "CERTIFICATE");
  assert.ok(leaf && ca && root);
  return [leaf, ca, root];
}

const [leaf, ca, root] = chainOf(quote);
const [otherLeaf, otherCa, otherRoot] = chainOf(stranger.quote(ENCLAVE));
const [signer = new Uint8Array()] = parsePem(collateral.tcbInfoIssuerChain, "CERTIFICATE");
const flipped = (certificate: Uint8Array): Uint8Array =>
  certificate.with(certificate.length - 1, (certificate.at(-1) ?? 0) ^ 1);
const outdated = (certificate: Uint8Array): Uint8Array => {
  // UTCTime begins with its tag and length; a digit of its year is changed, which the signature covers.
  const at = certificate.findIndex((byte, index) => byte === 0x17 && certificate[index + 1] === 13);
  return certificate.with(at + 3, (certificate[at + 3] ?? 0) - 1);
};

const chains: readonly [string, readonly Uint8Array[], string][] = [
  ["as issued", [leaf, ca, root], "accepted"],
  ["no certificate but the leaf", [leaf], "PCK_CHAIN_ROOT_NOT_TRUSTED"],
  ["no intermediate", [leaf, root], "PCK_CHAIN_LENGTH"],
  ["the leaf twice", [leaf, leaf, ca, root], "PCK_CHAIN_LENGTH"],
  ["root first", [root, ca, leaf], "PCK_CHAIN_ROOT_NOT_TRUSTED"],
  ["intermediate first", [ca, leaf, root], "PCK_CHAIN_NAME_MISMATCH"],
  ["another platform's root", [leaf, ca, otherRoot], "PCK_CHAIN_ROOT_NOT_TRUSTED"],
  ["another platform's certificates below the right root", [otherLeaf, otherCa, root], "PCK_CHAIN_SIGNATURE_INVALID"],
  ["another platform's leaf", [otherLeaf, ca, root], "PCK_CHAIN_SIGNATURE_INVALID"],
  ["the TCB signer as leaf", [signer, ca, root], "PCK_CHAIN_NAME_MISMATCH"],
  ["the TCB signer as CA", [leaf, signer, root], "PCK_CHAIN_PROFILE"],
  ["the root as CA", [leaf, root, root], "PCK_CHAIN_ROLE"],
  ["a changed signature of the leaf", [flipped(leaf), ca, root], "PCK_CHAIN_SIGNATURE_INVALID"],
  ["a changed signature of the CA", [leaf, flipped(ca), root], "PCK_CHAIN_SIGNATURE_INVALID"],
  ["a changed signature of the root", [leaf, ca, flipped(root)], "PCK_CHAIN_SIGNATURE_INVALID"],
  ["a leaf made older", [outdated(leaf), ca, root], "PCK_CHAIN_SIGNATURE_INVALID"],
  ["bytes after a certificate", [concatBytes(leaf, ZERO), ca, root], "PCK_CHAIN_MALFORMED"],
  ["a certificate that is cut off", [leaf.subarray(0, -1), ca, root], "PCK_CHAIN_MALFORMED"],
];

for (const [title, certificates, expected] of chains) {
  test(`a PCK chain is judged: ${title}`, () => {
    assert.equal(outcome(withChain(...certificates)), expected);
  });
}

test("who is revoked is refused, each with a code of its own", () => {
  const revocations = [
    ["revokePck", "PCK_CERTIFICATE_REVOKED"],
    ["revokePckCa", "PCK_CA_REVOKED"],
    ["revokeTcbSigner", "TCB_SIGNER_REVOKED"],
  ] as const;
  for (const [revoke, code] of revocations) {
    const victim = createSimulatedPlatform({ now: NOW });
    const evidence = { quote: victim.quote(ENCLAVE) };
    victim[revoke]();
    assert.equal(
      outcomeOf(() => appraise(evidence, victim.collateral(), [victim.trustAnchor], NOW)),
      code,
    );
  }
});

test("a revocation list in the place of another, or of another platform, is refused", () => {
  const foreign = stranger.collateral();
  assert.equal(outcome(quote, { pckCrl: collateral.rootCaCrl }), "PCK_CRL_ISSUER_MISMATCH");
  assert.equal(outcome(quote, { rootCaCrl: collateral.pckCrl }), "ROOT_CRL_ISSUER_MISMATCH");
  assert.equal(outcome(quote, { rootCaCrl: foreign.rootCaCrl }), "ROOT_CRL_SIGNATURE_INVALID");
  assert.equal(outcome(quote, { pckCrl: foreign.pckCrl }), "PCK_CRL_SIGNATURE_INVALID");
  assert.equal(outcome(quote, { pckCrlIssuerChain: foreign.pckCrlIssuerChain }), "PCK_CRL_CHAIN_ROOT_NOT_TRUSTED");
  assert.equal(outcome(quote, { pckCrlIssuerChain: collateral.tcbInfoIssuerChain }), "PCK_CRL_CHAIN_PROFILE");
  assert.equal(outcome(quote, { tcbInfoIssuerChain: collateral.pckCrlIssuerChain }), "TCB_INFO_CHAIN_PROFILE");
});

test("each item that is one second late, or from the future, is refused for itself", () => {
  const items = [
    ["tcbInfo", "TCB_INFO"],
    ["qeIdentity", "QE_IDENTITY"],
    ["pckCrl", "PCK_CRL"],
    ["rootCaCrl", "ROOT_CRL"],
  ] as const;
  const days = 30;
  const ended = platform.collateral({ issuedAt: new Date(NOW.getTime() - days * DAY_MS), validityDays: days });
  const late = new Date(NOW.getTime() + 1000);
  const future = platform.collateral({ issuedAt: late, validityDays: days });
  for (const [item, name] of items) {
    assert.equal(outcome(quote, { [item]: ended[item] }), "accepted", `${name} at its last second`);
    assert.equal(outcome(quote, { [item]: ended[item] }, late), `${name}_EXPIRED`);
    assert.equal(outcome(quote, { [item]: future[item] }), `${name}_NOT_YET_VALID`);
    assert.equal(outcome(quote, { [item]: future[item] }, late), "accepted", `${name} at its first second`);
  }
});

test("certificates have their dates too, from the anchor down", () => {
  assert.equal(outcome(quote, {}, new Date(NOW.getTime() - 2 * 3_600_000)), "ANCHOR_NOT_YET_VALID");
  assert.equal(outcome(quote, {}, new Date(NOW.getTime() + 30 * 365 * DAY_MS)), "ANCHOR_EXPIRED");
  assert.equal(outcome(quote, {}, new Date(Number.NaN)), "TIME_INVALID");
});
