import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { type BrokerEvent, startBroker } from "@cloister/broker";
import {
  createAuthority,
  createServingCa,
  generatePrivateKey,
  issueServerCertificate,
} from "@cloister/broker/certificates";
import { policyEntry } from "@cloister/enclave";
import { Secret } from "@cloister/encoding";
import { parsePolicy, type Policy, POLICY_SCHEMA, REFUSE_ALL } from "@cloister/policy";
import { encodeBundleManifest, sealBundle } from "@cloister/protected-files";
import { readTree, writeTreeAtomically } from "@cloister/protected-files/rim";
import { openReleaseLog } from "@cloister/release-log/file";
import type { EnclaveError } from "../packages/enclave/src/errors.ts";
import { startReplica } from "../packages/enclave/src/replica/replica.ts";

const MODEL = fileURLToPath(new URL("../examples/digits/saved_model", import.meta.url));
const MRENCLAVE = new Uint8Array(32).fill(0xe1);
const SERVING_NAME = "grpc.test";

/** A lease shorter than a policy file may say, so that the test takes seconds. */
function withLease(policy: Policy, leaseSeconds: number): Policy {
  const workloads = policy.workloads.map((workload) =>
    Object.assign({}, workload, { secrets: { ...workload.secrets, leaseSeconds } }),
  );
  return { ...policy, workloads };
}

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "replica-"));
  t.after(() => rm(folder, { recursive: true }));
  const now = new Date();
  const platform = createSimulatedPlatform({ now });
  const authority = createAuthority({ name: "test CA", now });
  const key = generatePrivateKey();
  const { chain } = issueServerCertificate({ authority, subject: key, now, dnsNames: ["broker.test"] });
  const owner = generateKeyPairSync("ed25519");
  const [oldKey, newKey] = [new Uint8Array(randomBytes(16)), new Uint8Array(randomBytes(16))];
  // Sealed before the rotation: the newest key does not open it.
  const { sealed, manifest } = sealBundle({
    files: await readTree(MODEL),
    model: { name: "digits", version: 1 },
    generation: 1,
    wrapKey: new Secret(oldKey.slice(), "wrap key"),
    signingKey: owner.privateKey,
  });
  const sealedDir = join(folder, "sealed");
  await writeTreeAtomically(sealedDir, sealed, { replace: true });
  const logKey = generateKeyPairSync("ed25519");
  const log = await openReleaseLog({ path: join(folder, "log"), origin: "test", signingKey: logKey.privateKey });
  t.after(() => log.close());
  const policy = (minimumGeneration: number): Policy => {
    // As `enclave measure --policy` writes it; the requester of this test has no certificate.
    const { secrets, ...entry } = policyEntry({
      measured: { mrenclave: MRENCLAVE },
      workload: "digits",
      keyId: "digits/1",
      model: { name: "digits", version: 1, minimumGeneration },
      dnsNames: [SERVING_NAME],
      simulatedAnchor: createHash("sha256").update(platform.trustAnchor.certificate).digest("hex"),
    });
    const workload = { ...entry, secrets: { ...secrets, serving: { ...secrets.serving, clientVerify: false } } };
    return withLease(parsePolicy({ schema: POLICY_SCHEMA, production: false, workloads: [workload] }), 2);
  };
  const events: BrokerEvent[] = [];
  const versions = (): { keyId: string; secret: Secret }[] =>
    [newKey, oldKey].map((bytes, i) => ({ keyId: `digits/1@${2 - i}`, secret: new Secret(bytes.slice(), "key") }));
  const broker = await startBroker({
    host: "127.0.0.1",
    port: 0,
    tls: { key: Buffer.from(key.toPem().reveal()).toString(), cert: chain },
    policy: policy(1),
    keys: { secret: () => Promise.reject(new Error("versions are asked for")), versions: async () => versions() },
    bundles: {
      bundle: async () => ({
        manifest: encodeBundleManifest(manifest),
        ownerKey: owner.publicKey.export({ type: "spki", format: "der" }),
      }),
    },
    servingCa: createServingCa({ authority, clock: () => new Date() }),
    collateral: async (quote) => platform.collateralFor(quote),
    anchors: [platform.trustAnchor],
    log,
    onEvent: (event) => events.push(event),
  });
  t.after(() => broker.close(50));
  const lost = Promise.withResolvers<EnclaveError>();
  const replica = await startReplica({
    config: {
      model: { name: "digits", version: 1 },
      broker: {
        serverName: "broker.test",
        caPem: authority.certificate,
        logKey: logKey.publicKey.export({ type: "spki", format: "der" }).toString("base64"),
      },
      engineThreads: 1,
    },
    hostOptions: {
      replicaId: "replica-1",
      brokerAddresses: [broker.address],
      sealedDir,
      listen: { host: "127.0.0.1", port: 0 },
    },
    driver: {
      name: "SIMULATED",
      simulated: true,
      quote: async (reportData) => platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: new Uint8Array(32) }),
    },
    onPhase: () => undefined,
    onLost: lost.resolve,
  });
  t.after(() => replica.stop());
  const serial = async (): Promise<string> => {
    const socket = connect({
      ...replica.address,
      ca: authority.certificate,
      servername: SERVING_NAME,
      ALPNProtocols: ["h2"],
    });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const releases = (): number => events.filter(({ type }) => type === "release").length;
  return { broker, policy, replica, serial, releases, lost: lost.promise };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const isRefused = async (address: { host: string; port: number }): Promise<boolean> => {
  const socket = connectTcp(address.port, address.host);
  return once(socket, "connect").then(
    () => false,
    () => true,
  );
};

test("a replica opens files of the key before a rotation, renews its lease with another certificate, and stops when it ends", async (t) => {
  const { broker, replica, serial, releases, lost } = await setUp(t);
  const first = await serial();
  await until(() => releases() >= 2);
  // The answer is on its way when the release is told; the certificate changes a moment later.
  while ((await serial()) === first) assert.ok(releases() < 5, "the certificate did not change");
  broker.replacePolicy(REFUSE_ALL);
  const { code } = await lost;
  assert.equal(code, "LEASE_ENDED");
  assert.equal(await isRefused(replica.address), true);
});

test("a replica stops at its next renewal when the policy asks for a newer generation of the model", async (t) => {
  const { broker, policy, replica, lost } = await setUp(t);
  broker.replacePolicy(policy(2));
  assert.equal((await lost).code, "GENERATION_REVOKED");
  assert.equal(await isRefused(replica.address), true);
});
