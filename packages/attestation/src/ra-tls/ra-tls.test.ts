import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { toHex } from "@cloister/encoding";
import { encodeCbor } from "@cloister/encoding/cbor";
import { encodePem } from "@cloister/encoding/pem";
import { appraiseRaTls, createRaTlsCertificate, INTENDED_LEGACY_QUOTE_OID, parseRaTlsCertificate } from "./ra-tls.ts";
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
  quoteOver,
  sha256,
  spkiOf,
  type Pair,
} from "../testing/ra-tls-fixture.ts";

const create = (keyPair: Pair, extensions?: "both" | "legacy" | "evidence", nonce?: Uint8Array) =>
  createRaTlsCertificate({
    keyPair,
    quote: async (reportData) => quoteOver(reportData),
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    ...(extensions !== undefined && { extensions }),
    ...(nonce !== undefined && { nonce }),
  });

test("certificates of P-256 and P-384 keys are accepted with both extensions and with either alone", async () => {
  for (const keyPair of [p256(), generateKeyPairSync("ec", { namedCurve: "P-384" })]) {
    for (const extensions of ["both", "legacy", "evidence"] as const) {
      const peer = appraiseRaTls(await create(keyPair, extensions), collateral, anchors, NOW);
      assert.equal(peer.evidence, extensions);
      assert.equal(peer.claims.simulated, true);
      assert.equal(peer.claims.sgx?.isvProdId, 7);
      assert.equal(peer.publicKeySha256, createHash("sha256").update(spkiOf(keyPair)).digest("hex"));
      assert.deepEqual(peer.validUntil, NOT_AFTER);
    }
  }
});

test("RSA-3072 is accepted only where Gramine 1.3 is, and only with the legacy extension alone", async () => {
  const keyPair = generateKeyPairSync("rsa", { modulusLength: 3072 });
  const legacy = await create(keyPair, "legacy");
  const refused = { code: "RA_TLS_KEY_NOT_ALLOWED" };
  assert.equal(appraiseRaTls(legacy, collateral, anchors, NOW, { allowLegacyRsa: true }).evidence, "legacy");
  assert.throws(() => appraiseRaTls(legacy, collateral, anchors, NOW), refused);
  const both = await create(keyPair, "both");
  assert.throws(() => appraiseRaTls(both, collateral, anchors, NOW, { allowLegacyRsa: true }), refused);
});

test("the bytes are those that Gramine writes", async () => {
  const keyPair = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const der = await create(keyPair);
  const hex = toHex(der);
  // The identifier with a tag and a length inside its content, then an OCTET STRING with a two-byte length.
  assert.match(hex, /060b06092a864886f84d8a39060482/);
  // Tag 60000, an array of two, a byte string with a two-byte length.
  assert.match(hex, /06066781050504090482[0-9a-f]{4}d9ea608259/);
  const { evidence } = parseRaTlsCertificate(der);
  const claims = `a16b7075626b65792d68617368582482015820${toHex(sha256(spkiOf(keyPair)))}`;
  assert.equal(toHex(evidence?.claims ?? new Uint8Array()), claims);
  // As PEM: given DER, OpenSSL's loader would find the PEM text of the PCK certificate inside the quote.
  const certificate = new X509Certificate(encodePem("CERTIFICATE", der));
  assert.equal(certificate.subject, "CN=RATLS\nO=GramineDevelopers\nC=US");
  assert.equal(certificate.serialNumber, "01");
  assert.equal(certificate.ca, false);
  assert.equal(certificate.verify(keyPair.publicKey), true);
});

test("the two extensions carry two quotes, over the key and over the claims", async () => {
  const asked: Uint8Array[] = [];
  const keyPair = p256();
  const quote = async (reportData: Uint8Array) => {
    asked.push(reportData);
    return quoteOver(reportData);
  };
  const der = await createRaTlsCertificate({ keyPair, quote, notBefore: NOT_BEFORE, notAfter: NOT_AFTER });
  const { evidence } = parseRaTlsCertificate(der);
  const zeros = "00".repeat(32);
  const bound = [spkiOf(keyPair), evidence?.claims ?? new Uint8Array()];
  assert.deepEqual(
    asked.map(toHex),
    bound.map((bytes) => toHex(sha256(bytes)) + zeros),
  );
});

test("the legacy quote is found under the identifier that was meant too", () => {
  const keyPair = p256();
  const quote = quoteOver(sha256(spkiOf(keyPair)));
  const der = certificateWith(keyPair, [legacyExtension(quote, INTENDED_LEGACY_QUOTE_OID)]);
  assert.equal(appraiseRaTls(der, collateral, anchors, NOW).evidence, "legacy");
});

test("a key hash of SHA-384 or SHA-512 and unknown claims are accepted", () => {
  const keyPair = p256();
  for (const [id, name] of [
    [7, "sha384"],
    [8, "sha512"],
  ] as const) {
    const digest = new Uint8Array(createHash(name).update(spkiOf(keyPair)).digest());
    const claims = encodeCbor(
      new Map([
        ["pubkey-hash", encodeCbor([id, digest])],
        ["vendor", new Uint8Array(3)],
      ]),
    );
    const der = certificateWith(keyPair, [evidenceExtension(claims)]);
    assert.equal(appraiseRaTls(der, collateral, anchors, NOW).evidence, "evidence");
  }
});

test("a nonce that the verifier chose must be in the claims", async () => {
  const nonce = new Uint8Array(32).fill(9);
  const keyPair = p256();
  const fresh = await create(keyPair, "both", nonce);
  assert.equal(appraiseRaTls(fresh, collateral, anchors, NOW, { nonce }).evidence, "both");
  const refused = { code: "RA_TLS_NONCE_MISMATCH" };
  const other = new Uint8Array(32).fill(8);
  assert.throws(() => appraiseRaTls(fresh, collateral, anchors, NOW, { nonce: other }), refused);
  for (const extensions of ["both", "legacy", "evidence"] as const) {
    const without = await create(keyPair, extensions);
    assert.throws(() => appraiseRaTls(without, collateral, anchors, NOW, { nonce }), refused);
  }
  await assert.rejects(create(keyPair, "legacy", nonce), RangeError);
});

test("a certificate reaches a TLS server unchanged, with possession of its key proved", async () => {
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = ({ privateKey }: Pair) => privateKey.export({ type: "pkcs8", format: "pem" });
  const serverCertificate = encodePem("CERTIFICATE", certificateWith(server, []));
  const context = { key: pem(server), cert: serverCertificate, requestCert: true, rejectUnauthorized: false };
  for (const keyPair of [p256(), generateKeyPairSync("ec", { namedCurve: "P-384" })]) {
    const der = await create(keyPair);
    const listener = createServer({ ...context, maxVersion: "TLSv1.2" });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const cert = encodePem("CERTIFICATE", der);
    const client = connect({ host: "127.0.0.1", port, key: pem(keyPair), cert, rejectUnauthorized: false });
    const [socket] = (await once(listener, "secureConnection")) as [TLSSocket];
    const presented = new Uint8Array(socket.getPeerX509Certificate()?.raw ?? []);
    assert.deepEqual(presented, der);
    assert.equal(appraiseRaTls(presented, collateral, anchors, NOW).evidence, "both");
    client.destroy();
    socket.destroy();
    listener.close();
  }
});
