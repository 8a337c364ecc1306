import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { testCertificates } from "@cloister/model-server/testing";
import {
  CheckpointSigner,
  encodeLogEntry,
  encodeLogProof,
  leafHash,
  type LogEntry,
  MerkleTree,
} from "@cloister/release-log";
import { encodeCollateral } from "@cloister/attestation";
import {
  type AttestationOptions,
  createAttestor,
  createChannel,
  createSealedChannel,
  pinnedPolicy,
  PredictClient,
  type VerifiedReplica,
} from "../index.ts";
import { MRENCLAVE, quoteOn, startGoodReplica, testPlatform } from "../testing/replicas.ts";

// A replica that shows the proof of its own release, to requesters that know the broker's log key.

const certificates = testCertificates();
const platform = testPlatform();
const anchors = [platform.trustAnchor];
const log = generateKeyPairSync("ed25519");
const rawKey = (key: typeof log.publicKey): Uint8Array =>
  new Uint8Array(key.export({ type: "spki", format: "der" }).subarray(-32));
const servingKey = createHash("sha256")
  .update(new X509Certificate(certificates.server.cert).publicKey.export({ type: "spki", format: "der" }))
  .digest("hex");

function proofOf(peerKeySha256: string, decision: "released" | "refused" = "released"): Uint8Array {
  const released: LogEntry = {
    time: "2026-01-01T00:00:00.000Z",
    decision,
    codes: decision === "released" ? [] : ["DEBUG_ENCLAVE"],
    workload: "digits",
    rule: "sgx",
    keyId: "digits/1",
    claims: null,
    claimsSha256: null,
    policySha256: "0".repeat(64),
    peerKeySha256,
    simulated: true,
  };
  const entry = encodeLogEntry(released);
  const tree = new MerkleTree();
  for (const leaf of [encodeLogEntry({ ...released, keyId: "other" }), entry]) tree.append(leafHash(leaf));
  const signer = new CheckpointSigner("log.test", log.privateKey, log.publicKey);
  const checkpoint = signer.sign({ size: 2, root: tree.root(2) });
  return encodeLogProof({ leafIndex: 1, entry, path: tree.inclusionPath(1, 2), checkpoint });
}

const options: AttestationOptions = {
  anchors,
  policy: pinnedPolicy(Buffer.from(MRENCLAVE).toString("hex"), anchors),
  releaseLog: { publicKey: rawKey(log.publicKey), origin: "log.test" },
};

/** A call over gRPC on attested TLS, from a replica that staples its collateral and shows that proof. */
async function ask(
  proof: Uint8Array | undefined,
  changes: Partial<AttestationOptions> = {},
): Promise<readonly VerifiedReplica[]> {
  const verified: VerifiedReplica[] = [];
  const replica = await startGoodReplica(platform, certificates.server, "good", {
    evidence: { collateral: stapled, releaseProof: () => proof },
  });
  const attestation = createAttestor({ ...options, ...changes, onVerified: (each) => verified.push(each) });
  const tls = { ca: certificates.ca, serverName: "server.test" };
  const channel = createChannel({ address: replica.address, tls, attestation });
  try {
    await new PredictClient(channel).status({ model: "half" }, { retries: 0 });
    return verified;
  } finally {
    await Promise.all([channel.close(), replica.close()]);
  }
}

function stapled(): Promise<Uint8Array> {
  return Promise.resolve(encodeCollateral(platform.collateralFor(quoteOn(platform, new Uint8Array(64)))));
}

test("a replica whose release is in the log passes, with collateral that it staples itself", async () => {
  const [replica] = await ask(proofOf(servingKey));
  assert.equal(replica?.release?.keyId, "digits/1");
  assert.equal(replica?.isStapled, true);
  assert.match(replica?.steps.at(-1) ?? "", /release .* log/);
});

test("no proof is refused where one is asked for, and only there: RELEASE_PROOF_MISSING", async () => {
  await assert.rejects(ask(undefined), { code: "RELEASE_PROOF_MISSING" });
  const { releaseLog, ...rest } = options;
  const replica = await startGoodReplica(platform, certificates.server, "good", { evidence: { collateral: stapled } });
  const tls = { ca: certificates.ca, serverName: "server.test" };
  const channel = createChannel({ address: replica.address, tls, attestation: createAttestor(rest) });
  assert.ok(releaseLog !== undefined && (await new PredictClient(channel).status({ model: "half" })).length === 1);
  await Promise.all([channel.close(), replica.close()]);
});

test("a proof of another release, of a refusal, or of another log is refused: RELEASE_NOT_LOGGED", async () => {
  const code = "RELEASE_NOT_LOGGED";
  await assert.rejects(ask(proofOf("1".repeat(64))), { code });
  await assert.rejects(ask(proofOf(servingKey, "refused")), { code });
  await assert.rejects(ask(new TextEncoder().encode("{}")), { code });
  const foreign = generateKeyPairSync("ed25519").publicKey;
  await assert.rejects(ask(proofOf(servingKey), { releaseLog: { publicKey: rawKey(foreign) } }), { code });
  const elsewhere = { publicKey: rawKey(log.publicKey), origin: "another.log" };
  await assert.rejects(ask(proofOf(servingKey), { releaseLog: elsewhere }), { code });
});

test("stale stapled collateral is refused like any other: PCK_CRL_EXPIRED", async () => {
  const clock = (): Date => new Date(Date.now() + 60 * 86_400_000);
  await assert.rejects(ask(proofOf(servingKey), { clock }), { code: /_EXPIRED$/ });
});

test("a session for web pages names the serving key of its TLS connection, and is checked against the log", async () => {
  const replica = await startGoodReplica(platform, certificates.server, "good", {
    evidence: { collateral: stapled, releaseProof: () => proofOf(servingKey) },
    rest: { host: "127.0.0.1", port: 0 },
    insecureRest: true,
  });
  const url = `http://127.0.0.1:${replica.restAddress?.port}`;
  const channel = createSealedChannel({ url, attestation: options });
  // In plaintext there is no serving key that a release could be for.
  const call = new PredictClient(channel).status({ model: "half" }, { retries: 0 });
  await assert.rejects(call, { code: "RELEASE_NOT_LOGGED" });
  await Promise.all([channel.close(), replica.close()]);
});
