import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { inspect } from "node:util";
import { connect, type TLSSocket } from "node:tls";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { Secret } from "@cloister/encoding";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { provisionNative } from "../client/provision.ts";
import type { NativeProvisioned, NativeProvisionOptions } from "../client/provisioned.ts";
import type { BrokerOptions, KeySource } from "../options.ts";
import { createTestAuthority } from "../testing/authority.ts";
import { type Harness, logged, startHarness, WRAP_KEY } from "../testing/harness.ts";
import { servingSecrets, testPolicy } from "../testing/policy.ts";
import { MRENCLAVE } from "../testing/stock-client.ts";
import { ByteStream } from "../wire/byte-stream.ts";
import { encodeJsonFrame, readJsonFrame } from "../wire/json-frame.ts";
import { channelBinding, NATIVE_REQUEST, nativeEvidence, parseChallenge, parseNativeAnswer } from "../wire/native.ts";

const owner = generateKeyPairSync("ed25519");
const OLDER_KEY = Uint8Array.from(WRAP_KEY, (byte) => byte ^ 0xff);
const manifest = new TextEncoder().encode('{"files":[]}');

/** A source with a rotation that still overlaps. */
const keys: KeySource = {
  secret: () => Promise.reject(new Error("the broker asks for versions")),
  versions: async (keyId) => {
    const version = (number: number, bytes: Uint8Array) => ({
      keyId: `${keyId}@${number}`,
      secret: new Secret(bytes.slice(), "key"),
    });
    if (keyId === "digits/1") return [version(2, WRAP_KEY), version(1, OLDER_KEY)];
    return [version(1, new TextEncoder().encode("labels are secret too"))];
  },
};

type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
const newKeyPair = (): KeyPair => generateKeyPairSync("ec", { namedCurve: "P-256" });

function certificateFor(platform: SimulatedPlatform, keyPair: KeyPair, nonce?: Uint8Array): Promise<Uint8Array> {
  return createRaTlsCertificate({
    keyPair,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: "evidence",
    quote: async (reportData) => platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: new Uint8Array(32) }),
    ...(nonce !== undefined && { nonce }),
  });
}

const start = (t: TestContext, changes: Partial<BrokerOptions> = {}): Promise<Harness> =>
  startHarness(t, (platform) => ({
    policy: testPolicy(platform, {
      secrets: { ...servingSecrets(3), additional: [{ name: "labels", keyId: "digits/labels" }], leaseSeconds: 600 },
    }),
    keys,
    bundles: {
      bundle: async () => ({ manifest, ownerKey: owner.publicKey.export({ type: "spki", format: "der" }) }),
    },
    ...changes,
  }));

function provision(
  { server, platform, logPublicKey }: Harness,
  changes: Partial<NativeProvisionOptions> = {},
  keyPair = newKeyPair(),
): Promise<NativeProvisioned> {
  return provisionNative({
    brokers: [{ host: "127.0.0.1", port: server.port, serverName: "broker.test" }],
    ca: server.ca,
    publicKey: keyPair.publicKey,
    certificate: (nonce) => certificateFor(platform, keyPair, nonce),
    csr: buildCsr({ subject: [["CN", "replica"]], ...keyPair }),
    logKey: logPublicKey,
    ...changes,
  });
}

const refusedFor = (code: string) => (error: unknown) =>
  error instanceof Error && "refusedFor" in error && (error.refusedFor as string[])[0] === code;

test("one answer has every version of the key, further secrets, the bundle, an identity and a lease", async (t) => {
  const harness = await start(t);
  const keyPair = newKeyPair();
  const got = await provision(harness, {}, keyPair);
  assert.deepEqual(
    got.keys.map(({ keyId, secret }) => [keyId, secret.reveal()]),
    [
      ["digits/1@2", WRAP_KEY],
      ["digits/1@1", OLDER_KEY],
    ],
  );
  assert.equal(new TextDecoder().decode(got.secrets.get("labels")?.reveal()), "labels are secret too");
  assert.deepEqual(got.model?.bundleManifest, manifest);
  assert.equal(got.model?.minimumGeneration, 3);
  assert.equal(got.leaseSeconds, 600);
  const leaf = new X509Certificate(got.serving?.certificate ?? "");
  assert.ok(leaf.publicKey.equals(keyPair.publicKey) && leaf.checkHost("replica.test") !== undefined);
  const [entry] = await logged(harness.log);
  assert.equal(entry?.keyId, "digits/1@2 digits/1@1 digits/labels@1");
});

test("no event and no log entry holds a secret of an answer in any form", async (t) => {
  const harness = await start(t);
  const { keys: received } = await provision(harness);
  const told = Buffer.from(JSON.stringify(harness.events) + JSON.stringify(await logged(harness.log)));
  const text = inspect(received, { depth: 10 }) + JSON.stringify(received);
  for (const bytes of [WRAP_KEY, OLDER_KEY].map((key) => Buffer.from(key))) {
    for (const form of [bytes.toString("hex"), bytes.toString("base64").slice(0, 21), bytes.join()]) {
      assert.ok(!told.includes(form) && !text.includes(form));
    }
    assert.ok(!told.includes(bytes));
  }
});

test("evidence without a nonce, or with one of its own choice, is CHANNEL_BINDING_MISMATCH", async (t) => {
  const harness = await start(t);
  const { platform } = harness;
  for (const nonce of [undefined, new Uint8Array(32)]) {
    const keyPair = newKeyPair();
    const certificate = (): Promise<Uint8Array> => certificateFor(platform, keyPair, nonce);
    await assert.rejects(provision(harness, { certificate }, keyPair), refusedFor("CHANNEL_BINDING_MISMATCH"));
  }
});

test("evidence that was made for one connection is refused on another, also before it was used", async (t) => {
  const harness = await start(t);
  const keyPair = newKeyPair();
  const made: Uint8Array[] = [];
  // The first connection gets as far as the evidence and ends before it is sent.
  const stolen = provision(harness, {
    async certificate(nonce) {
      made.push(await certificateFor(harness.platform, keyPair, nonce));
      throw new Error("the host takes it away");
    },
  });
  await assert.rejects(stolen, { message: "the host takes it away" });
  const replayed = provision(harness, { certificate: async () => made[0] ?? new Uint8Array() }, keyPair);
  await assert.rejects(replayed, refusedFor("CHANNEL_BINDING_MISMATCH"));
  assert.ok(harness.events.every(({ type }) => type !== "release"));
});

test("a certificate request for another key than the evidence's is CSR_KEY_MISMATCH", async (t) => {
  const harness = await start(t);
  const csr = buildCsr({ subject: [["CN", "replica"]], ...newKeyPair() });
  await assert.rejects(provision(harness, { csr }), refusedFor("CSR_KEY_MISMATCH"));
});

test("without a request no identity comes, and one key is served once", async (t) => {
  const harness = await start(t);
  const keyPair = newKeyPair();
  const bare = await provisionNative({
    brokers: [{ host: "127.0.0.1", port: harness.server.port, serverName: "broker.test" }],
    ca: harness.server.ca,
    publicKey: keyPair.publicKey,
    certificate: (nonce) => certificateFor(harness.platform, keyPair, nonce),
  });
  assert.equal(bare.serving, null);
  await assert.rejects(provision(harness, {}, keyPair), refusedFor("CERTIFICATE_REPLAYED"));
});

test("the binding also holds over TLS 1.3", async (t) => {
  const tls13 = createTestAuthority();
  const harness = await start(t, { tls: { ...tls13.server("broker.test"), allowTls13: true } });
  const got = await provision(harness, { ca: tls13.certificatePem });
  assert.equal(got.keys.length, 2);
});

/** Whether a TLS 1.2 handshake message list holds the extension "extended master secret" (RFC 7627): type 23, empty. */
const hasExtendedMasterSecret = (hello: Buffer): boolean => hello.includes(Buffer.from("00170000", "hex"));

test("over TLS 1.2 both sides use the extended master secret, on which the binding rests", async (t) => {
  const harness = await start(t);
  const [client, broker]: [Buffer[], Buffer[]] = [[], []];
  const proxy = createServer((inner) => {
    const outer = connectTcp(harness.server.port, "127.0.0.1");
    inner.on("data", (part) => client.push(part)).pipe(outer);
    outer.on("data", (part) => broker.push(part)).pipe(inner);
  });
  proxy.listen(0);
  await once(proxy, "listening");
  t.after(() => proxy.close());
  const { port } = proxy.address() as AddressInfo;
  await provision(harness, { brokers: [{ host: "127.0.0.1", port, serverName: "broker.test" }] });
  assert.ok(hasExtendedMasterSecret(client[0] ?? Buffer.alloc(0)));
  assert.ok(hasExtendedMasterSecret(broker[0] ?? Buffer.alloc(0)));
});

async function open({ server }: Harness): Promise<{ socket: TLSSocket; stream: ByteStream }> {
  const socket = connect({ host: "127.0.0.1", port: server.port, ca: server.ca, servername: "broker.test" });
  await once(socket, "secureConnect");
  socket.on("error", () => undefined);
  const stream = new ByteStream(socket);
  await stream.write(NATIVE_REQUEST);
  return { socket, stream };
}

test("every connection has its own nonce, and a nonce relayed to another connection gives another binding", async (t) => {
  const harness = await start(t);
  const [one, two] = [await open(harness), await open(harness)];
  const nonces = [
    parseChallenge(await readJsonFrame(one.stream, 256)),
    parseChallenge(await readJsonFrame(two.stream, 256)),
  ] as const;
  assert.notDeepEqual(nonces[0], nonces[1]);
  assert.notDeepEqual(channelBinding(one.socket, nonces[0]), channelBinding(two.socket, nonces[0]));
  // A man in the middle with two connections: the nonce of the one, evidence over the channel of the other.
  const keyPair = newKeyPair();
  const certificate = await certificateFor(harness.platform, keyPair, channelBinding(two.socket, nonces[0]));
  await one.stream.write(encodeJsonFrame(nativeEvidence({ certificate, csr: null })));
  const answer = parseNativeAnswer(await readJsonFrame(one.stream, 4096));
  assert.deepEqual(answer, { refusedFor: ["CHANNEL_BINDING_MISMATCH"] });
  two.socket.destroy();
});

test("evidence that is too long, no JSON, of another type or with another member ends the connection", async (t) => {
  const harness = await start(t);
  const certificate = Buffer.alloc(100).toString("base64");
  const messages = [
    Buffer.from([0, 2, 0, 0]),
    Buffer.from([0, 0, 0, 0]),
    Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from("abc")]),
    encodeJsonFrame({ type: "cloister-evidence/2", certificate, csr: null }),
    encodeJsonFrame({ type: "cloister-evidence/1", certificate, csr: null, more: 1 }),
    encodeJsonFrame({ type: "cloister-evidence/1", certificate, csr: certificate }),
  ];
  for (const message of messages) {
    const { socket, stream } = await open(harness);
    await readJsonFrame(stream, 256);
    await stream.write(message);
    assert.equal(await stream.readOrEnd(1).catch(() => undefined), undefined);
    socket.destroy();
  }
  const ended = (): number =>
    harness.events.filter((event) => event.type === "connection" && event.code === "REQUEST_MALFORMED").length;
  while (ended() < messages.length) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(harness.log.size, 0);
});
