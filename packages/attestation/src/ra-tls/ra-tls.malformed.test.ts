import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { concatBytes } from "@cloister/encoding";
import { encodeCbor, type CborValue } from "@cloister/encoding/cbor";
import * as fc from "fast-check";
import { AttestationError } from "../errors.ts";
import { encodeClaims } from "./evidence.ts";
import {
  appraiseRaTls,
  INTENDED_LEGACY_QUOTE_OID,
  parseRaTlsCertificate,
  TAGGED_EVIDENCE_OID,
  createRaTlsCertificate,
} from "./ra-tls.ts";
import { createSimulatedPlatform, type SimulatedQuoteOptions } from "../simulated/index.ts";
import {
  anchors,
  certificateWith,
  collateral,
  evidenceExtension,
  legacyExtension,
  NOT_AFTER,
  NOT_BEFORE,
  NOW,
  p256,
  platform,
  quoteOver,
  sha256,
  spkiOf,
} from "../testing/ra-tls-fixture.ts";

const keyPair = p256();
const spki = spkiOf(keyPair);
const claims = encodeClaims(sha256(spki));
const legacy = legacyExtension(quoteOver(sha256(spki)));
const evidence = evidenceExtension(claims);
const refuses = (der: Uint8Array, code: string, time = NOW) =>
  assert.throws(() => appraiseRaTls(der, collateral, anchors, time), { code });

test("the certificate that the refused ones differ from is accepted", () => {
  assert.equal(appraiseRaTls(certificateWith(keyPair, [legacy, evidence]), collateral, anchors, NOW).evidence, "both");
});

test("a certificate without evidence is refused", () => {
  refuses(certificateWith(keyPair, []), "RA_TLS_EVIDENCE_MISSING");
});

test("a legacy quote over another key is refused (relay)", () => {
  const victim = legacyExtension(quoteOver(sha256(spkiOf(p256()))));
  refuses(certificateWith(keyPair, [victim]), "RA_TLS_REPORT_DATA_MISMATCH");
});

test("claims that name another key are refused (relay)", () => {
  const victim = encodeClaims(sha256(spkiOf(p256())));
  refuses(certificateWith(keyPair, [evidenceExtension(victim)]), "RA_TLS_PUBKEY_HASH_MISMATCH");
});

test("claims that name this key under a quote over other claims are refused (relay)", () => {
  const stolen = quoteOver(sha256(encodeClaims(sha256(spkiOf(p256())))));
  refuses(certificateWith(keyPair, [evidenceExtension(claims, stolen)]), "RA_TLS_REPORT_DATA_MISMATCH");
});

test("claims without a key hash are refused, whatever else they hold", () => {
  const others: CborValue[] = [new Map(), new Map([["nonce", new Uint8Array(32)]])];
  for (const value of others) {
    refuses(certificateWith(keyPair, [evidenceExtension(encodeCbor(value))]), "RA_TLS_PUBKEY_HASH_MISSING");
  }
});

test("a key hash that is there twice is refused", () => {
  const entry = claims.subarray(1);
  const twice = concatBytes(Uint8Array.of(0xa2), entry, entry);
  refuses(certificateWith(keyPair, [evidenceExtension(twice)]), "RA_TLS_EVIDENCE_MALFORMED");
});

test("a second half of report data that is not zero is refused in either extension", () => {
  const withTail = (bytes: Uint8Array) => concatBytes(sha256(bytes), new Uint8Array(31), Uint8Array.of(1));
  const badLegacy = legacyExtension(quoteOver(withTail(spki)));
  const badEvidence = evidenceExtension(claims, quoteOver(withTail(claims)));
  for (const extensions of [[badLegacy], [badEvidence], [badLegacy, evidence], [legacy, badEvidence]]) {
    refuses(certificateWith(keyPair, extensions), "RA_TLS_REPORT_DATA_TAIL_NOT_ZERO");
  }
});

test("with both extensions the legacy quote is checked too", () => {
  const stolen = legacyExtension(quoteOver(sha256(spkiOf(p256()))));
  refuses(certificateWith(keyPair, [stolen, evidence]), "RA_TLS_REPORT_DATA_MISMATCH");
  const foreign = createSimulatedPlatform({ now: NOW });
  const enclave = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32) };
  const foreignQuote = legacyExtension(foreign.quote({ ...enclave, reportData: sha256(spki) }));
  const der = certificateWith(keyPair, [foreignQuote, evidence]);
  assert.throws(() => appraiseRaTls(der, collateral, anchors, NOW), AttestationError);
});

test("two quotes of different enclaves or TCB levels in one certificate are refused", () => {
  const differences: Partial<SimulatedQuoteOptions>[] = [
    { mrenclave: new Uint8Array(32).fill(0xe2) },
    { mrsigner: new Uint8Array(32).fill(0x52) },
    { isvSvn: 1 },
    { debug: true },
    { tcbLevel: "OutOfDate" },
    { configSvn: 1 },
  ];
  for (const difference of differences) {
    const other = legacyExtension(quoteOver(sha256(spki), difference));
    refuses(certificateWith(keyPair, [other, evidence]), "RA_TLS_QUOTES_DISAGREE");
  }
});

test("a certificate outside its validity is refused, and both ends belong to it", () => {
  const der = certificateWith(keyPair, [legacy, evidence]);
  refuses(der, "RA_TLS_NOT_YET_VALID", new Date(NOT_BEFORE.getTime() - 1000));
  refuses(der, "RA_TLS_EXPIRED", new Date(NOT_AFTER.getTime() + 1000));
  refuses(der, "RA_TLS_NOT_YET_VALID", new Date(Number.NaN));
  assert.equal(appraiseRaTls(der, collateral, anchors, NOT_AFTER).evidence, "both");
});

test("a certificate that another key signed is refused", () => {
  const der = certificateWith(keyPair, [legacy, evidence], { signer: p256() });
  refuses(der, "RA_TLS_SELF_SIGNATURE_INVALID");
});

test("a certificate that names another issuer is refused", () => {
  refuses(certificateWith(keyPair, [legacy], { issuer: [["CN", "other"]] }), "RA_TLS_SELF_SIGNATURE_INVALID");
});

test("keys other than P-256, P-384 and RSA-3072 are refused", () => {
  for (const other of [
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
    generateKeyPairSync("rsa", { modulusLength: 3072, publicExponent: 3 }),
  ]) {
    const der = certificateWith(other, [legacyExtension(quoteOver(sha256(spkiOf(other))))]);
    assert.throws(() => appraiseRaTls(der, collateral, anchors, NOW, { allowLegacyRsa: true }), {
      code: "RA_TLS_KEY_NOT_ALLOWED",
    });
  }
});

test("evidence in a critical extension, and unknown critical extensions, are refused", () => {
  refuses(certificateWith(keyPair, [{ ...legacy, critical: true }]), "RA_TLS_CERTIFICATE_MALFORMED");
  refuses(certificateWith(keyPair, [{ ...evidence, critical: true }]), "RA_TLS_CERTIFICATE_MALFORMED");
  const unknown = { id: "1.2.3.4", critical: true, value: new Uint8Array() };
  refuses(certificateWith(keyPair, [legacy, unknown]), "RA_TLS_CERTIFICATE_MALFORMED");
});

test("a legacy quote under both identifiers, or an extension that is there twice, is refused", () => {
  const second = { ...legacy, id: INTENDED_LEGACY_QUOTE_OID };
  refuses(certificateWith(keyPair, [legacy, second]), "RA_TLS_CERTIFICATE_MALFORMED");
  refuses(certificateWith(keyPair, [legacy, legacy]), "RA_TLS_CERTIFICATE_MALFORMED");
});

test("an identifier that only begins or ends like the right one carries no evidence", () => {
  for (const id of [`${TAGGED_EVIDENCE_OID}.1`, "1.2.840.113741.1337.7", "1.2.840.113741.1337"]) {
    refuses(certificateWith(keyPair, [{ ...evidence, id }]), "RA_TLS_EVIDENCE_MISSING");
  }
});

test("evidence of another form is refused", () => {
  const quote = quoteOver(sha256(claims));
  const values: CborValue[] = [
    [quote, claims],
    { tag: 60_001, value: [quote, claims] },
    { tag: 60_000, value: [quote] },
    { tag: 60_000, value: [quote, claims, claims] },
    { tag: 60_000, value: [claims, quote] },
    { tag: 60_000, value: ["quote", claims] },
    { tag: 60_000, value: [quote.subarray(0, 435), claims] },
    { tag: 60_000, value: [quote, encodeCbor([1])] },
    { tag: 60_000, value: [quote, encodeCbor(new Map([[1, 2]]))] },
    { tag: 60_000, value: [quote, encodeCbor(new Map([["pubkey-hash", sha256(spki)]]))] },
    { tag: 60_000, value: [quote, encodeCbor(new Map([["pubkey-hash", encodeCbor([2, sha256(spki)])]]))] },
    { tag: 60_000, value: [quote, encodeCbor(new Map([["pubkey-hash", encodeCbor([1, sha256(spki), 0])]]))] },
    { tag: 60_000, value: [quote, encodeCbor(new Map([["pubkey-hash", encodeCbor([7, sha256(spki)])]]))] },
  ];
  for (const value of values) {
    const der = certificateWith(keyPair, [{ id: TAGGED_EVIDENCE_OID, value: encodeCbor(value) }]);
    refuses(der, "RA_TLS_EVIDENCE_MALFORMED");
  }
});

test("a certificate of a simulated platform is refused without its own anchor", () => {
  const der = certificateWith(keyPair, [legacy, evidence]);
  const other = createSimulatedPlatform({ now: NOW });
  for (const list of [[], [other.trustAnchor]]) {
    assert.throws(() => appraiseRaTls(der, collateral, list, NOW), AttestationError);
  }
});

test("a revoked platform is refused", () => {
  const doomed = createSimulatedPlatform({ now: NOW });
  const enclave = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32) };
  const quote = doomed.quote({ ...enclave, reportData: sha256(spki) });
  const der = certificateWith(keyPair, [legacyExtension(quote)]);
  const list = [doomed.trustAnchor];
  assert.equal(appraiseRaTls(der, doomed.collateral(), list, NOW).evidence, "legacy");
  doomed.revokePck();
  assert.throws(() => appraiseRaTls(der, doomed.collateral(), list, NOW), AttestationError);
});

test("no changed byte of a certificate is accepted or ends in anything but a coded refusal", async () => {
  const der = await createRaTlsCertificate({
    keyPair,
    quote: async (reportData) => platform.quote({ reportData, mrenclave: sha256(spki), mrsigner: sha256(spki) }),
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
  });
  assert.equal(appraiseRaTls(der, collateral, anchors, NOW).evidence, "both");
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 0, max: 7 }), (offset, bit) => {
      const changed = der.slice();
      changed[offset]! ^= 1 << bit;
      assert.throws(() => appraiseRaTls(changed, collateral, anchors, NOW), AttestationError);
    }),
    { numRuns: 300 },
  );
});

test("cut and overlong certificates are refused", () => {
  const der = certificateWith(keyPair, [legacy]);
  for (const length of [0, 1, 100, der.length - 1]) {
    assert.throws(() => parseRaTlsCertificate(der.subarray(0, length)), { code: "RA_TLS_CERTIFICATE_MALFORMED" });
  }
  const padded = concatBytes(der, new Uint8Array(1));
  assert.throws(() => parseRaTlsCertificate(padded), { code: "RA_TLS_CERTIFICATE_MALFORMED" });
  const large = certificateWith(keyPair, [legacyExtension(new Uint8Array(40_000))]);
  assert.throws(() => parseRaTlsCertificate(large), { code: "RA_TLS_CERTIFICATE_MALFORMED" });
});
