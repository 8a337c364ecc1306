import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { createServer as createTcpServer } from "node:net";
import { type TestContext, test } from "node:test";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { createTestAuthority } from "../testing/authority.ts";
import { type Harness, startHarness, WRAP_KEY } from "../testing/harness.ts";
import { servingSecrets, testPolicy } from "../testing/policy.ts";
import { createEnclave, type EnclaveIdentity } from "../testing/stock-client.ts";
import { encodeRefusal, encodeResponse } from "../wire/gramine.ts";
import { encodeJsonFrame } from "../wire/json-frame.ts";
import type { BrokerEndpoint, ProvisionOptions } from "./provisioned.ts";
import { provision } from "./provision.ts";

const owner = generateKeyPairSync("ed25519");
const ownerKey = owner.publicKey.export({ type: "spki", format: "der" });
const manifest = Buffer.from('{"files":[]}');
const serving = generateKeyPairSync("ec", { namedCurve: "P-256" });
const csr = buildCsr({ subject: [["CN", "replica"]], ...serving });

const servingBroker = (t: TestContext): Promise<Harness> =>
  startHarness(t, (platform) => ({
    policy: testPolicy(platform, { secrets: servingSecrets(3) }),
    bundles: { bundle: () => Promise.resolve({ manifest, ownerKey }) },
  }));

const at = (port: number, serverName = "broker.test"): BrokerEndpoint => ({ host: "127.0.0.1", port, serverName });

const optionsFor = (
  enclave: EnclaveIdentity,
  ca: string,
  ...brokers: [BrokerEndpoint, ...BrokerEndpoint[]]
): ProvisionOptions => ({
  brokers,
  ca,
  csr,
  privateKey: enclave.privateKey,
  certificateDer: enclave.certificateDer,
  timeoutMs: 30_000,
});

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** A server with a good certificate that does whatever the test wants after the handshake. */
async function falseBroker(t: TestContext, behave: (socket: TLSSocket) => void) {
  const authority = createTestAuthority();
  const server = createTlsServer(
    { ...authority.server("broker.test"), requestCert: true, rejectUnauthorized: false, maxVersion: "TLSv1.2" },
    (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => behave(socket));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const address = server.address();
  return { authority, port: typeof address === "object" && address !== null ? address.port : 0 };
}

test("an admitted enclave gets key, manifest, generation and a certificate for the key of its CSR", async (t) => {
  const { server, platform, authority, logPublicKey } = await servingBroker(t);
  const enclave = await createEnclave(platform);
  const got = await provision({ ...optionsFor(enclave, server.ca, at(server.port)), logKey: logPublicKey });
  assert.deepEqual(Buffer.from(got.wrapKey.reveal()), Buffer.from(WRAP_KEY));
  assert.deepEqual(Buffer.from(got.bundleManifest), manifest);
  assert.equal(got.ownerKey.equals(owner.publicKey), true);
  assert.equal(got.minimumGeneration, 3);
  assert.deepEqual({ ...got.model }, { name: "digits", version: 1 });
  assert.equal(got.clientVerify, true);
  assert.equal(got.clientCa, authority.certificatePem);
  const leaf = new X509Certificate(got.servingCertificate);
  assert.equal(leaf.checkPrivateKey(serving.privateKey), true);
  assert.equal(leaf.checkHost("replica.test"), "replica.test");
});

test("the names of the serving certificate are the policy's, not the request's", async (t) => {
  const { server, platform } = await servingBroker(t);
  const greedy = buildCsr({ subject: [["CN", "evil.test"]], ...serving, dnsNames: ["evil.test"] });
  const got = await provision({
    ...optionsFor(await createEnclave(platform), server.ca, at(server.port)),
    csr: greedy,
  });
  assert.equal(new X509Certificate(got.servingCertificate).checkHost("evil.test"), undefined);
});

test("a refused enclave learns the codes, and no policy detail", async (t) => {
  const { server, platform } = await servingBroker(t);
  const changed = await createEnclave(platform, { mrenclave: new Uint8Array(32), debug: true });
  await assert.rejects(provision(optionsFor(changed, server.ca, at(server.port))), {
    code: "PROVISIONING_REFUSED",
    refusedFor: ["MEASUREMENT_NOT_ALLOWED", "DEBUG_ENCLAVE"],
  });
});

test("a log proof without the signature of the known log is refused", async (t) => {
  const { server, platform } = await servingBroker(t);
  const options = optionsFor(await createEnclave(platform), server.ca, at(server.port));
  const { publicKey: logKey } = generateKeyPairSync("ed25519");
  await assert.rejects(provision({ ...options, logKey }), { code: "LOG_PROOF_NOT_OURS" });
});

test("a broker under another CA or with another name is BROKER_NOT_TRUSTED", async (t) => {
  const { server, platform, events } = await servingBroker(t);
  const enclave = await createEnclave(platform);
  const otherCa = createTestAuthority().certificatePem;
  await assert.rejects(provision(optionsFor(enclave, otherCa, at(server.port))), { code: "BROKER_NOT_TRUSTED" });
  await assert.rejects(provision(optionsFor(enclave, server.ca, at(server.port, "other.test"))), {
    code: "BROKER_NOT_TRUSTED",
  });
  assert.equal(
    events.some((event) => event.type === "release"),
    false,
  );
});

test("nothing listening is BROKER_UNREACHABLE, and the next broker is tried", async (t) => {
  const { server, platform } = await servingBroker(t);
  const dead = at(await closedPort());
  const enclave = await createEnclave(platform);
  await assert.rejects(provision(optionsFor(enclave, server.ca, dead)), { code: "BROKER_UNREACHABLE" });
  const got = await provision(optionsFor(enclave, server.ca, dead, at(server.port)));
  assert.equal(got.broker.port, server.port);
});

test("a handshake that fails moves on to the next broker: garbage, a foreign CA, a peer that hangs up", async (t) => {
  const { server, platform } = await servingBroker(t);
  const plain = createTcpServer((socket) => socket.on("error", () => undefined).end("220 hello, this is not TLS\r\n"));
  const hangUp = createTcpServer((socket) => socket.destroy());
  const ports: number[] = [];
  for (const other of [plain, hangUp]) {
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    t.after(() => other.close());
    const address = other.address();
    ports.push(typeof address === "object" && address !== null ? address.port : 0);
  }
  const foreign = await falseBroker(t, (socket) => socket.end());
  const [first = 0, second = 0] = ports;
  const got = await provision(
    optionsFor(await createEnclave(platform), server.ca, at(first), at(second), at(foreign.port), at(server.port)),
  );
  assert.equal(got.broker.port, server.port);
});

test("a refusal is final: the next broker is not asked", async (t) => {
  const first = await servingBroker(t);
  const second = await servingBroker(t);
  const enclave = await createEnclave(second.platform);
  await assert.rejects(provision(optionsFor(enclave, first.server.ca, at(first.server.port), at(second.server.port))), {
    code: "PROVISIONING_REFUSED",
  });
  assert.deepEqual(second.events, []);
});

const malformed: [string, (socket: TLSSocket) => void, string][] = [
  [
    "another protocol",
    (socket) => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "ANSWER_MALFORMED",
  ],
  ["a header cut short", (socket) => socket.end("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0\0\0"), "CONNECTION_LOST"],
  ["a secret of another length", (socket) => socket.write(encodeResponse(new Uint8Array(33))), "ANSWER_MALFORMED"],
  ["a secret cut short", (socket) => socket.end(encodeResponse(new Uint8Array(16)).subarray(0, 50)), "CONNECTION_LOST"],
  ["nothing after the key", (socket) => socket.end(encodeResponse(new Uint8Array(16))), "CONNECTION_LOST"],
  [
    "a follow-up of another form",
    (socket) =>
      socket.write(Buffer.concat([encodeResponse(new Uint8Array(16)), encodeJsonFrame({ bundleManifest: 1 })])),
    "ANSWER_MALFORMED",
  ],
  [
    "a follow-up of 4 GiB",
    (socket) => socket.write(Buffer.concat([encodeResponse(new Uint8Array(16)), Buffer.from("ffffffff7b7d", "hex")])),
    "ANSWER_MALFORMED",
  ],
  ["a refusal with text instead of codes", (socket) => socket.write(encodeRefusal(["<b>no"])), "ANSWER_MALFORMED"],
  ["silence", () => undefined, "PROVISIONING_TIMEOUT"],
];

for (const [what, behave, code] of malformed) {
  test(`${what} of a false broker is ${code}`, async (t) => {
    const { authority, port } = await falseBroker(t, behave);
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const enclave = selfMade(publicKey, privateKey);
    const options = optionsFor(enclave, authority.certificatePem, at(port));
    await assert.rejects(provision({ ...options, timeoutMs: code === "PROVISIONING_TIMEOUT" ? 300 : 30_000 }), {
      code,
    });
  });
}

/** A certificate without evidence: a false broker does not look. */
function selfMade(publicKey: KeyObject, privateKey: KeyObject): EnclaveIdentity {
  const pem = createTestAuthority().issue(publicKey, ["enclave.test"]);
  return { publicKey, privateKey, certificateDer: new Uint8Array(new X509Certificate(pem).raw) };
}

test("the caller can cancel", async (t) => {
  const { authority, port } = await falseBroker(t, () => undefined);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const options = optionsFor(selfMade(publicKey, privateKey), authority.certificatePem, at(port));
  const signal = AbortSignal.timeout(100);
  await assert.rejects(provision({ ...options, signal }), { code: "PROVISIONING_CANCELLED" });
});
