import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:tls";
import { test } from "node:test";
import { toHex } from "../bytes.ts";
import { encodePem } from "../der/pem.ts";
import { parseCertificate, parseCrl, readBasicConstraints, readKeyUsage } from "./x509.ts";
import { buildCertificate, buildCrl, randomSerial, type DistinguishedName } from "./builder.ts";

const notBefore = new Date("2026-01-01T00:00:00Z");
const notAfter = new Date("2060-01-01T00:00:00Z");
const notAllowed = { code: "X509_VALUE_NOT_ALLOWED" };
const name: DistinguishedName = [
  ["CN", "Test \u00e9"],
  ["O", "Cloister"],
  ["C", "XX"],
];
const p256 = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = p256();
const issuer = { name, ...keys };
const base = { subject: name, publicKey: keys.publicKey, notBefore, notAfter };

test("certificates of every key type verify under their issuer's key", () => {
  const pairs = [
    p256(),
    generateKeyPairSync("ec", { namedCurve: "P-384" }),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ];
  for (const signer of pairs) {
    for (const hash of ["sha256", "sha384"] as const) {
      const der = buildCertificate(base, { name, ...signer, hash });
      const certificate = new X509Certificate(der);
      assert.equal(certificate.verify(signer.publicKey), true);
      assert.equal(certificate.verify(p256().publicKey), false);
    }
  }
});

test("the strict reader of this package reads what the builder writes", () => {
  const der = buildCertificate(
    {
      ...base,
      serial: Uint8Array.of(0x80, 1),
      basicConstraints: { ca: true, pathLength: 1 },
      keyUsage: ["keyCertSign", "cRLSign"],
      extraExtensions: [{ id: "1.2.3.4", value: Uint8Array.of(5, 0), critical: true }],
    },
    issuer,
  );
  const certificate = parseCertificate(der);
  assert.equal(certificate.version, 3);
  assert.equal(certificate.serial, "8001");
  assert.deepEqual(certificate.notBefore, notBefore);
  assert.deepEqual(certificate.notAfter, notAfter);
  assert.deepEqual(certificate.subject.raw, certificate.issuer.raw);
  const extension = (oid: string) => certificate.extensions.find((each) => each.oid === oid) ?? assert.fail(oid);
  assert.deepEqual(readBasicConstraints(extension("2.5.29.19").value), { isCa: true, pathLength: 1 });
  assert.deepEqual([...readKeyUsage(extension("2.5.29.15").value)], ["keyCertSign", "cRLSign"]);
  assert.equal(extension("2.5.29.15").critical, true);
  assert.deepEqual(extension("1.2.3.4"), { oid: "1.2.3.4", critical: true, value: Uint8Array.of(5, 0) });
});

test("key identifiers chain a leaf to its issuer", () => {
  const leaf = new X509Certificate(buildCertificate({ ...base, publicKey: p256().publicKey }, issuer));
  const ca = new X509Certificate(buildCertificate({ ...base, basicConstraints: { ca: true } }, issuer));
  assert.equal(leaf.checkIssued(ca), true);
});

test("subject alternative names and key usages reach the TLS library's view", () => {
  const alternativeNames = { dnsNames: ["A.example", "*.b.example"], ipAddresses: ["127.0.0.1", "::1", "2001:db8::7"] };
  const der = buildCertificate({ ...base, alternativeNames, extendedKeyUsage: ["serverAuth", "clientAuth"] }, issuer);
  const certificate = new X509Certificate(der);
  assert.equal(certificate.checkHost("a.example"), "a.example");
  assert.equal(certificate.checkHost("x.b.example"), "*.b.example");
  assert.equal(certificate.checkIP("::1"), "::1");
  assert.equal(certificate.checkIP("2001:db8::7"), "2001:db8::7");
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
});

test("names that are no host names or addresses are refused", () => {
  const dnsNames = [
    "",
    "a..b",
    "-a",
    "a.",
    "a b",
    "a/b",
    "1.2.3.4",
    "\u00e9.example",
    `${"a".repeat(64)}.x`,
    "a\0b",
    "*",
  ];
  for (const dnsName of dnsNames) {
    const fields = { ...base, alternativeNames: { dnsNames: [dnsName] } };
    assert.throws(() => buildCertificate(fields, issuer), notAllowed, dnsName);
  }
  const addresses = ["", "1.2.3", "1.2.3.256", "01.2.3.4", ":", ":::", "1::2::3", "g::", "1:2:3:4:5:6:7", "::1%lo"];
  for (const address of [...addresses, "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8"]) {
    const fields = { ...base, alternativeNames: { ipAddresses: [address] } };
    assert.throws(() => buildCertificate(fields, issuer), notAllowed, address);
  }
  assert.throws(() => buildCertificate({ ...base, alternativeNames: {} }, issuer), notAllowed);
});

test("a validity, serial, name or key that a certificate cannot have is refused", () => {
  assert.throws(() => buildCertificate({ ...base, notAfter: new Date(0) }, issuer), notAllowed);
  assert.throws(() => buildCertificate({ ...base, notAfter: new Date(Number.NaN) }, issuer), notAllowed);
  assert.throws(() => buildCertificate({ ...base, serial: new Uint8Array(4) }, issuer), notAllowed);
  assert.throws(() => buildCertificate({ ...base, serial: new Uint8Array(21).fill(1) }, issuer), notAllowed);
  assert.throws(() => buildCertificate({ ...base, subject: [["CN", ""]] }, issuer), notAllowed);
  assert.throws(() => buildCertificate({ ...base, subject: [["C", "USA"]] }, issuer), notAllowed);
  assert.throws(() => buildCertificate({ ...base, publicKey: keys.privateKey }, issuer), notAllowed);
  const ed25519 = generateKeyPairSync("ed25519");
  assert.throws(() => buildCertificate({ ...base, publicKey: ed25519.publicKey }, issuer), notAllowed);
  assert.throws(() => buildCertificate(base, { name, ...ed25519 }), notAllowed);
});

test("serials are random, positive and of one length", () => {
  const serials = Array.from({ length: 200 }, randomSerial);
  assert.equal(new Set(serials.map(toHex)).size, 200);
  for (const serial of serials) assert.ok(serial.length === 16 && serial[0]! >= 0x40 && serial[0]! < 0x80);
});

test("a revocation list holds its serials, and no list at all when nothing is revoked", () => {
  const times = { thisUpdate: notBefore, nextUpdate: new Date("2026-02-01T00:00:00Z"), number: 7 };
  const revoked = [{ serial: Uint8Array.of(0x80, 1), revokedAt: notBefore, reason: 1 }];
  const crl = parseCrl(buildCrl({ ...times, revoked }, issuer));
  assert.deepEqual([...crl.revokedSerials], ["8001"]);
  assert.deepEqual(crl.nextUpdate, times.nextUpdate);
  assert.deepEqual([...parseCrl(buildCrl({ ...times, revoked: [] }, issuer)).revokedSerials], []);
});

test("a TLS handshake succeeds with a chain made here, in both directions", async () => {
  const ca = buildCertificate({ ...base, basicConstraints: { ca: true }, keyUsage: ["keyCertSign"] }, issuer);
  const leaf = (publicKey: KeyObject, usage: "serverAuth" | "clientAuth") =>
    buildCertificate(
      {
        ...base,
        subject: [["CN", usage]],
        publicKey,
        keyUsage: ["digitalSignature"],
        extendedKeyUsage: [usage],
        alternativeNames: { dnsNames: ["localhost"] },
      },
      issuer,
    );
  const material = (usage: "serverAuth" | "clientAuth") => {
    const pair = p256();
    const key = pair.privateKey.export({ type: "pkcs8", format: "pem" });
    return { key, cert: encodePem("CERTIFICATE", leaf(pair.publicKey, usage)), ca: encodePem("CERTIFICATE", ca) };
  };
  const server = createServer({ ...material("serverAuth"), requestCert: true, rejectUnauthorized: true });
  server.on("secureConnection", (socket) => socket.end(String(socket.getPeerCertificate().subject.CN)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ...material("clientAuth") });
  const [received] = (await once(socket, "data")) as [Buffer];
  assert.equal(received.toString(), "clientAuth");
  assert.equal(socket.authorized, true);
  socket.destroy();
  server.close();
});
