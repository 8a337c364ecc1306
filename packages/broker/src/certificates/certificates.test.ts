import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer, type ConnectionOptions, type TlsOptions } from "node:tls";
import { inspect } from "node:util";
import { asBuffer, fromUtf8, Secret, utf8 } from "@cloister/encoding";
import { buildCsr } from "@cloister/encoding/x509-builder";
import {
  createAuthority,
  createServingCa,
  generatePrivateKey,
  issueClientCertificate,
  issueServerCertificate,
  openAuthority,
  readPrivateKey,
  writeSslConfig,
  type PrivateKey,
} from "./index.ts";

const now = new Date();
const authority = createAuthority({ name: "Test authority", now });
const days = (count: number) => new Date(now.getTime() + count * 86_400_000);
const pemOf = (key: PrivateKey) => asBuffer(key.toPem().reveal());

function serverOf(
  from = authority,
  names: { dnsNames?: string[]; ipAddresses?: string[] } = { dnsNames: ["localhost"] },
) {
  const key = generatePrivateKey();
  const { chain } = issueServerCertificate({ authority: from, subject: key, now, ...names });
  return { key: pemOf(key), cert: chain };
}

function clientOf(from = authority, type?: "rsa3072") {
  const key = generatePrivateKey(type);
  const { chain } = issueClientCertificate({ authority: from, subject: key, now, name: "requester" });
  return { key: pemOf(key), cert: chain };
}

/** The common name that the server sees, or the code of the error that the client ends with. */
async function handshake(server: TlsOptions, client: ConnectionOptions): Promise<string> {
  const listener = createServer({ maxVersion: "TLSv1.2", ...server }, (socket) => {
    socket.on("error", () => undefined);
    socket.end(socket.getPeerX509Certificate()?.subject ?? "no certificate");
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ...client });
  try {
    const [data] = (await once(socket, "data")) as [Buffer];
    return data.toString();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "no code";
  } finally {
    socket.destroy();
    listener.close();
  }
}

test("a server certificate is accepted by name and by address under its authority only", async () => {
  const trust = { ca: authority.certificate };
  assert.equal(await handshake(serverOf(), trust), "no certificate");
  const byAddress = serverOf(authority, { ipAddresses: ["127.0.0.1"] });
  const noName = { servername: "", checkServerIdentity: () => undefined };
  assert.equal(await handshake(byAddress, { ...trust, ...noName }), "no certificate");
  assert.ok(new X509Certificate(byAddress.cert).checkIP("127.0.0.1"));
  const wrongName = serverOf(authority, { dnsNames: ["other.example"] });
  assert.equal(await handshake(wrongName, trust), "ERR_TLS_CERT_ALTNAME_INVALID");
  const other = createAuthority({ name: "Test authority", now });
  assert.notEqual(await handshake(serverOf(), { ca: other.certificate }), "no certificate");
});

test("mutual TLS works with P-256 and RSA-3072 clients, and not without or with a foreign certificate", async () => {
  const server = { ...serverOf(), ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
  const trust = { ca: authority.certificate };
  assert.equal(await handshake(server, { ...trust, ...clientOf() }), "CN=requester");
  assert.equal(await handshake(server, { ...trust, ...clientOf(authority, "rsa3072") }), "CN=requester");
  const foreign = createAuthority({ name: "Foreign", now });
  for (const client of [{}, clientOf(foreign)]) {
    assert.notEqual(await handshake(server, { ...trust, ...client }), "CN=requester");
  }
});

test("a server certificate does not work as a client's, nor the reverse", async () => {
  const server = { ...serverOf(), ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
  const trust = { ca: authority.certificate };
  assert.match(await handshake(server, { ...trust, ...serverOf() }), /^E/);
  assert.match(await handshake(clientOf(), { ...trust, checkServerIdentity: () => undefined }), /INVALID_PURPOSE/);
});

test("an authority has path length 0 and an end after its leaves'", () => {
  const certificate = new X509Certificate(authority.certificate);
  assert.equal(certificate.ca, true);
  assert.equal(certificate.checkIssued(certificate), true);
  const short = createAuthority({ name: "Short", now, days: 30 });
  const subject = generatePrivateKey();
  const names = { dnsNames: ["localhost"] };
  const leaf = issueServerCertificate({ authority: short, subject, now, days: 30, ...names });
  assert.ok(leaf.notAfter <= short.notAfter);
  assert.throws(() => issueServerCertificate({ authority: short, subject, now, days: 31, ...names }), {
    code: "CERTIFICATE_OUTLIVES_AUTHORITY",
  });
  assert.throws(() => issueServerCertificate({ authority: short, subject, now: days(31), ...names }), {
    code: "CERTIFICATE_OUTLIVES_AUTHORITY",
  });
});

test("serials are unique and versions are 3", () => {
  const subject = generatePrivateKey();
  const made = Array.from({ length: 50 }, () => issueClientCertificate({ authority, subject, now, name: "x" }));
  const serials = made.map(({ certificate }) => new X509Certificate(certificate).serialNumber);
  assert.equal(new Set(serials).size, 50);
});

test("names, validities and keys that make no sense are refused", () => {
  const subject = generatePrivateKey();
  const invalid = { code: "CERTIFICATE_FIELDS_INVALID" };
  assert.throws(() => issueServerCertificate({ authority, subject, now }), invalid);
  assert.throws(() => issueServerCertificate({ authority, subject, now, dnsNames: ["a b"] }), invalid);
  assert.throws(
    () => issueServerCertificate({ authority, subject, now, dnsNames: ["a"], validitySeconds: 0 }),
    invalid,
  );
  assert.throws(() => issueServerCertificate({ authority, subject, now, dnsNames: ["a"], days: -1 }), invalid);
  assert.throws(() => issueClientCertificate({ authority, subject, now, name: "" }), invalid);
  assert.throws(() => issueClientCertificate({ authority, subject, now, name: "x", days: Number.NaN }), {
    code: "CERTIFICATE_OUTLIVES_AUTHORITY",
  });
});

test("the serving authority takes the key from the request and the names from the policy", async () => {
  const ca = createServingCa({ authority, clientAuthority: authority, clock: () => now });
  const key = generatePrivateKey();
  const pair = { publicKey: key.publicKey, privateKey: key.keyObject() };
  const csr = buildCsr({ subject: [["CN", "x"]], ...pair, dnsNames: ["bank.example"] });
  const rule = { dnsNames: ["localhost"], ipAddresses: [], validitySeconds: 3600, clientVerify: true };
  const chain = await ca.issue(csr, rule);
  const leaf = new X509Certificate(chain);
  assert.equal(leaf.subjectAltName, "DNS:localhost");
  assert.ok(Math.abs(leaf.validToDate.getTime() - now.getTime() - 3_600_000) < 1000);
  assert.equal(ca.clientCa, authority.certificate);
  assert.equal(await handshake({ key: pemOf(key), cert: chain }, { ca: authority.certificate }), "no certificate");
  const forged = csr.slice();
  forged[forged.length - 1]! ^= 1;
  await assert.rejects(ca.issue(forged, rule), { code: "CERTIFICATE_REQUEST_REFUSED" });
  await assert.rejects(ca.issue(new Uint8Array(3), rule), { code: "CERTIFICATE_REQUEST_REFUSED" });
});

test("an authority can be stored and opened again, with its own key only", () => {
  const key = readPrivateKey(authority.privateKey.toPem());
  const opened = openAuthority(authority.certificate, key);
  assert.deepEqual([opened.name, opened.notAfter], [authority.name, authority.notAfter]);
  const subject = generatePrivateKey();
  const { certificate } = issueClientCertificate({ authority: opened, subject, now, name: "x" });
  assert.equal(new X509Certificate(certificate).verify(authority.privateKey.publicKey), true);
  const malformed = { code: "AUTHORITY_MALFORMED" };
  assert.throws(() => openAuthority(authority.certificate, generatePrivateKey()), malformed);
  const leaf = issueServerCertificate({ authority, subject, now, dnsNames: ["a"] });
  assert.throws(() => openAuthority(leaf.certificate, subject), malformed);
  assert.throws(() => openAuthority(leaf.chain, key), malformed);
  assert.throws(() => openAuthority("", key), malformed);
});

test("a private key shows nothing of itself", () => {
  const key = generatePrivateKey();
  const body = (fromUtf8(key.toPem().reveal()) ?? "").split("\n")[1] ?? assert.fail("no PEM");
  const shown = [String(key), JSON.stringify({ key }), inspect({ key }, { showHidden: true, depth: 9 })];
  shown.push(inspect(authority), JSON.stringify(authority));
  for (const text of shown) assert.ok(!text.includes(body.slice(0, 20)) && !text.includes("BEGIN PRIVATE"));
});

test("ssl.cfg holds PEM contents as escaped strings", () => {
  const privateKey = generatePrivateKey();
  const certificateChain = issueServerCertificate({ authority, subject: privateKey, now, dnsNames: ["a"] }).chain;
  const oneWay = writeSslConfig({ privateKey, certificateChain });
  const lines = (fromUtf8(oneWay.reveal()) ?? "").split("\n");
  const strings = lines.slice(0, 3).map((line) => JSON.parse(line.slice(line.indexOf('"'))) as string);
  assert.deepEqual(strings, [fromUtf8(privateKey.toPem().reveal()), certificateChain, ""]);
  assert.deepEqual([lines[3], lines[4], lines.length], ["client_verify: false", "", 5]);
  const mutual = fromUtf8(writeSslConfig({ privateKey, certificateChain, clientCa: authority.certificate }).reveal());
  assert.match(mutual ?? "", /^custom_ca: "-----BEGIN CERTIFICATE-----\\n.*\nclient_verify: true\n$/m);
  assert.throws(() => writeSslConfig({ privateKey, certificateChain: "\r" }), RangeError);
  assert.ok(!inspect(oneWay).includes("BEGIN"));
});

test("a key that is no PKCS#8 PEM is refused", () => {
  assert.throws(() => readPrivateKey(new Secret(utf8("nothing"), "private key")));
});
