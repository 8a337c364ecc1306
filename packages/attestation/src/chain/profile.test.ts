import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { fromUtf8 } from "@cloister/encoding";
import { parseCertificate, type Certificate, type Extension } from "@cloister/encoding/x509";
import { buildCrl, type Issuer } from "@cloister/encoding/x509-builder";
import { NodeCrypto } from "../appraisal/node-crypto.ts";
import { Memory } from "../appraisal/memory.ts";
import { parseQuote } from "../quote/quote.ts";
import { loadCase, outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { recallAnchor } from "./anchor.ts";
import { parseChain } from "./chain.ts";
import { hasProfile, hasRole, isProcessorCa } from "./profile.ts";
import { recallCrl } from "./revocation.ts";

const NOW = new Date("2026-03-10T12:00:00Z");
const { signatureData } = parseQuote(loadCase("sgx-00a067-config-sw/valid").quote);
const chain = parseChain("PCK_CHAIN", fromUtf8(signatureData.pckChain)?.replace(/\0$/, "") ?? "");
const [leaf, ca, root] = chain;
assert.ok(leaf && ca && root);

const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";

function withExtension(certificate: Certificate, oid: string, change: (extension: Extension) => Partial<Extension>) {
  const extensions = certificate.extensions.map((extension) => {
    return extension.oid === oid ? { ...extension, ...change(extension) } : extension;
  });
  return { ...certificate, extensions };
}

const without = (certificate: Certificate, oid: string): Certificate => {
  return { ...certificate, extensions: certificate.extensions.filter((extension) => extension.oid !== oid) };
};

test("real certificates have the profile and the role of their place, and of no other", () => {
  const places = { root, "pck-ca": ca, pck: leaf } as const;
  for (const [role, certificate] of Object.entries(places) as [keyof typeof places, Certificate][]) {
    assert.ok(hasProfile(certificate, role), role);
    assert.ok(hasRole(certificate, role), role);
    for (const other of ["root", "pck-ca", "pck", "tcb-signer"] as const) {
      assert.equal(hasRole(certificate, other), other === role);
    }
  }
  assert.ok(!hasProfile(leaf, "pck-ca") && !hasProfile(ca, "pck") && !hasProfile(ca, "root"));
  assert.ok(isProcessorCa(ca) && !isProcessorCa(root));
});

const { publicKeyAlgorithm, publicKey, signatureAlgorithm } = leaf;
const P384 = { ...publicKeyAlgorithm, parameters: Uint8Array.of(0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22) };
const { parameters: _none, ...noParameters } = publicKeyAlgorithm;
const badLeaves: readonly [string, Certificate][] = [
  ["version 1", { ...leaf, version: 1 }],
  ["a SHA-384 signature", { ...leaf, signatureAlgorithm: { oid: "1.2.840.10045.4.3.3" } }],
  ["a signature algorithm with parameters", { ...leaf, signatureAlgorithm: { ...signatureAlgorithm, ...P384 } }],
  ["a P-384 key", { ...leaf, publicKeyAlgorithm: P384 }],
  ["a key without a curve", { ...leaf, publicKeyAlgorithm: noParameters }],
  ["an RSA key", { ...leaf, publicKeyAlgorithm: { ...publicKeyAlgorithm, oid: "1.2.840.113549.1.1.1" } }],
  ["a compressed point", { ...leaf, publicKey: publicKey.subarray(0, 33) }],
  ["a hybrid point", { ...leaf, publicKey: publicKey.with(0, 6) }],
  ["no key usage", without(leaf, KEY_USAGE)],
  ["no basic constraints", without(leaf, BASIC_CONSTRAINTS)],
  ["no distribution point", without(leaf, "2.5.29.31")],
  ["a key usage that is not critical", withExtension(leaf, KEY_USAGE, () => ({ critical: false }))],
  ["constraints that are not critical", withExtension(leaf, BASIC_CONSTRAINTS, () => ({ critical: false }))],
  ["a key usage that is no BIT STRING", withExtension(leaf, KEY_USAGE, () => ({ value: Uint8Array.of(5, 0) }))],
  ["constraints of another type", withExtension(leaf, BASIC_CONSTRAINTS, () => ({ value: Uint8Array.of(5, 0) }))],
  ["an unknown critical extension", withExtension(leaf, "2.5.29.31", () => ({ critical: true, oid: "1.2.3" }))],
  ["the right to sign certificates", withExtension(leaf, KEY_USAGE, () => ({ value: Uint8Array.of(3, 2, 1, 0x86) }))],
  ["no right to sign", withExtension(leaf, KEY_USAGE, () => ({ value: Uint8Array.of(3, 2, 6, 0x40) }))],
  ["the CA flag", withExtension(leaf, BASIC_CONSTRAINTS, () => ({ value: Uint8Array.of(0x30, 3, 1, 1, 0xff) }))],
];

for (const [title, certificate] of badLeaves) {
  test(`a leaf certificate is not of the profile: ${title}`, () => {
    assert.equal(hasProfile(certificate, "pck"), false);
  });
}

test("a root without a path length may have any number of CAs below it, a root of length 0 none", () => {
  const unlimited = withExtension(root, BASIC_CONSTRAINTS, () => ({ value: Uint8Array.of(0x30, 3, 1, 1, 0xff) }));
  assert.ok(hasProfile(unlimited, "root"));
  const none = Uint8Array.of(0x30, 6, 1, 1, 0xff, 2, 1, 0);
  assert.ok(
    !hasProfile(
      withExtension(root, BASIC_CONSTRAINTS, () => ({ value: none })),
      "root",
    ),
  );
  assert.ok(
    !hasProfile(
      withExtension(root, KEY_USAGE, () => ({ value: Uint8Array.of(3, 2, 7, 0x80) })),
      "root",
    ),
  );
});

test("a certificate without one common name has no role", () => {
  const attributes = [...leaf.subject.attributes, ...leaf.subject.attributes];
  assert.equal(hasRole({ ...leaf, subject: { ...leaf.subject, attributes } }, "pck"), false);
  assert.equal(isProcessorCa({ ...ca, subject: { ...ca.subject, attributes: [] } }), false);
});

const crypto = new NodeCrypto();
const run = (certificate: Uint8Array, kind: "intel" | "simulated" = "simulated") => {
  return outcomeOf(() => crypto.run(recallAnchor(new Memory(4), { name: "test", kind, certificate })));
};

test("an anchor is a root, and of kind intel Intel's", () => {
  assert.equal(run(root.raw, "intel"), "accepted");
  assert.equal(run(leaf.raw), "ANCHOR_MALFORMED");
  assert.equal(run(root.raw.subarray(1)), "ANCHOR_MALFORMED");
  assert.equal(run(createSimulatedPlatform({ now: NOW }).trustAnchor.certificate, "intel"), "ANCHOR_NOT_INTEL");
});

// A revocation list is issued with the key of a simulated root, which only a saved platform gives out.
const platform = createSimulatedPlatform({ now: NOW });
const saved = JSON.parse(new TextDecoder().decode(platform.save().reveal())) as { identities: string[][] };
const keys = saved.identities.map(([, , , pkcs8 = ""]) => Buffer.from(pkcs8, "hex"));
const privateKey = createPrivateKey({ key: keys[0] ?? Buffer.alloc(0), type: "pkcs8", format: "der" });
const issuer = parseCertificate(platform.trustAnchor.certificate);
const name: Issuer["name"] = [
  ["CN", "Simulated SGX Root CA"],
  ["O", "Cloister Simulated Platform"],
  ["L", "Simulated"],
  ["ST", "Simulated"],
  ["C", "XX"],
];
const own: Issuer = { name, privateKey, publicKey: generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey };
const crlBy = (by: Issuer): Uint8Array => {
  return buildCrl({ thisUpdate: NOW, nextUpdate: NOW, number: 1, revoked: [] }, by);
};
const crlOutcome = (der: Uint8Array, by: Certificate = issuer) => {
  return outcomeOf(() => crypto.run(recallCrl(new Memory(4), "ROOT_CRL", der, by)));
};

test("a revocation list is its issuer's, signed with SHA-256 by a key that may sign lists", () => {
  assert.equal(crlOutcome(crlBy(own)), "accepted");
  assert.equal(crlOutcome(crlBy({ ...own, name: [["CN", "Another"]] })), "ROOT_CRL_ISSUER_MISMATCH");
  assert.equal(crlOutcome(crlBy({ ...own, hash: "sha384" })), "ROOT_CRL_MALFORMED");
  const { privateKey: other } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  assert.equal(crlOutcome(crlBy({ ...own, privateKey: other })), "ROOT_CRL_SIGNATURE_INVALID");
  const certificatesOnly = withExtension(issuer, KEY_USAGE, () => ({ value: Uint8Array.of(3, 2, 2, 0x04) }));
  assert.equal(crlOutcome(crlBy(own), certificatesOnly), "ROOT_CRL_MALFORMED");
  assert.equal(crlOutcome(crlBy(own), without(issuer, KEY_USAGE)), "ROOT_CRL_MALFORMED");
});
