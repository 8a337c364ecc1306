import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { equalBytes } from "../bytes.ts";
import { contextPrimitive, element, integer, nullValue, octetString, oid, sequence, set } from "./writer.ts";
import { EncodingError } from "../encoding-error.ts";
import { buildCsr, parseCsr } from "./csr.ts";
import { encodeName, type DistinguishedName } from "../x509/builder-names.ts";
import { signed } from "../x509/builder-signature.ts";

const subject: DistinguishedName = [["CN", "replica"]];
const p256 = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = p256();
const spkiOf = (key: KeyObject) => new Uint8Array(key.export({ type: "spki", format: "der" }));
const request = (keyInfo: Uint8Array, attributes: Uint8Array, privateKey = keys.privateKey) =>
  signed(sequence(integer(0), encodeName(subject), keyInfo, element(0xa0, attributes)), privateKey);
const extensionRequest = (...extensions: Uint8Array[]) =>
  sequence(oid("1.2.840.113549.1.9.14"), set(sequence(...extensions)));
const sanExtension = (...names: Uint8Array[]) => sequence(oid("2.5.29.17"), octetString(sequence(...names)));

test("a request of every key type comes back with its key and names", () => {
  const pairs = [
    keys,
    generateKeyPairSync("ec", { namedCurve: "P-384" }),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ];
  for (const pair of pairs) {
    const der = buildCsr({ subject, ...pair, dnsNames: ["serving.example"], ipAddresses: ["127.0.0.1", "::1"] });
    const parsed = parseCsr(der);
    assert.deepEqual(parsed.dnsNames, ["serving.example"]);
    assert.deepEqual(
      parsed.ipAddresses.map((address) => address.length),
      [4, 16],
    );
    assert.ok(parsed.publicKey.equals(pair.publicKey));
    assert.deepEqual(parsed.subject, encodeName(subject));
  }
});

test("a request without names is a request without names", () => {
  const parsed = parseCsr(buildCsr({ subject, ...keys }));
  assert.deepEqual([parsed.dnsNames, parsed.ipAddresses], [[], []]);
});

test("a request for another's key is refused: its sender does not hold it", () => {
  const der = request(spkiOf(p256().publicKey), new Uint8Array());
  assert.throws(() => parseCsr(der), { code: "CSR_SIGNATURE_INVALID" });
});

test("keys outside the list are refused", () => {
  const ed25519 = spkiOf(generateKeyPairSync("ed25519").publicKey);
  const p521 = spkiOf(generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey);
  const rsa1024 = spkiOf(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey);
  for (const spki of [ed25519, p521, rsa1024, sequence(nullValue())]) {
    assert.throws(() => parseCsr(request(spki, new Uint8Array())), { code: "CSR_KEY_NOT_ALLOWED" });
  }
});

test("attributes and extensions other than alternative names are refused", () => {
  const challenge = sequence(oid("1.2.840.113549.1.9.7"), set(octetString(Uint8Array.of(1))));
  const basicConstraints = sequence(oid("2.5.29.19"), octetString(sequence()));
  const email = contextPrimitive(1, Uint8Array.of(0x61));
  const upperCase = contextPrimitive(2, Uint8Array.of(0x41));
  const shortAddress = contextPrimitive(7, Uint8Array.of(1, 2, 3));
  const attributes = [
    challenge,
    extensionRequest(basicConstraints),
    extensionRequest(sanExtension(contextPrimitive(2, Uint8Array.of(0x61))), basicConstraints),
    extensionRequest(sanExtension(email)),
    extensionRequest(sanExtension(upperCase)),
    extensionRequest(sanExtension(shortAddress)),
    extensionRequest(sanExtension(...Array.from({ length: 65 }, () => contextPrimitive(2, Uint8Array.of(0x61))))),
  ];
  for (const attribute of attributes) {
    assert.throws(() => parseCsr(request(spkiOf(keys.publicKey), attribute)), { code: "CSR_MALFORMED" });
  }
});

test("every changed byte is refused with a code", () => {
  const der = buildCsr({ subject, ...keys, dnsNames: ["serving.example"] });
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (offset, difference) => {
      const changed = der.slice();
      changed[offset]! ^= difference;
      assert.ok(!equalBytes(changed, der));
      assert.throws(() => parseCsr(changed), EncodingError);
    }),
    { numRuns: 500 },
  );
  for (const length of [0, 1, der.length - 1]) assert.throws(() => parseCsr(der.subarray(0, length)), EncodingError);
});
