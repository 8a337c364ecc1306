import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodeCollateral } from "@cloister/attestation";
import type { ModelServer } from "@cloister/model-server";
import { startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import {
  type AttestationOptions,
  createAttestor,
  createChannel,
  pinnedPolicy,
  PredictClient,
  type VerifiedReplica,
} from "../index.ts";
import { startPassthrough } from "../testing/passthrough.ts";
import {
  answerFor,
  MRENCLAVE,
  quoteOn,
  startGoodReplica,
  startRogueReplica,
  testPlatform,
} from "../testing/replicas.ts";

const certificates = testCertificates();
const platform = testPlatform();
const mrenclave = Buffer.from(MRENCLAVE).toString("hex");
const anchors = [platform.trustAnchor];
const policy = pinnedPolicy(mrenclave, anchors);
const genuine: AttestationOptions = {
  anchors,
  policy,
  collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
};
const tls = { ca: certificates.ca, serverName: "server.test" };
const input = {
  model: "half",
  inputs: new Map([["x", { dtype: "float", shape: [2], data: Float32Array.of(2, 4) } as const]]),
};

let good: ModelServer;
before(async () => {
  good = await startGoodReplica(platform, certificates.server);
});
after(() => good.close());

test("a replica that passes answers, and the caller is told what was verified", async () => {
  const verified: VerifiedReplica[] = [];
  const attestation = createAttestor({ ...genuine, onVerified: (replica) => verified.push(replica) });
  const channel = createChannel({ address: good.address, tls, attestation });
  const client = new PredictClient(channel);
  for (let call = 0; call < 3; call++) {
    const { outputs } = await client.predict(input);
    assert.deepEqual(outputs.get("y")?.data, Float32Array.of(3, 4));
  }
  await channel.close();
  assert.equal(verified.length, 1, "one connection, one appraisal");
  const [replica] = verified;
  assert.equal(replica?.claims.simulated, true);
  assert.equal(replica?.decision.rule, "workloads.pinned.identities.0");
  assert.ok(replica?.steps.some((step) => step.includes("exporter")));
});

test("without an authority the evidence alone vouches for the key", async () => {
  const channel = createChannel({ address: good.address, tls: {}, attestation: createAttestor(genuine) });
  assert.equal((await new PredictClient(channel).predict(input)).replica, "good");
  await channel.close();
});

test("mutual TLS works, and a client without a certificate is told so before HTTP/2", async () => {
  const replica = await startGoodReplica(platform, {
    ...certificates.server,
    ca: certificates.ca,
    requireClientCertificate: true,
  });
  const attestation = createAttestor(genuine);
  const known = createChannel({ address: replica.address, tls: { ...tls, ...certificates.client }, attestation });
  assert.equal((await new PredictClient(known).predict(input)).replica, "good");
  const unknown = createChannel({ address: replica.address, tls, attestation });
  await assert.rejects(new PredictClient(unknown).predict(input), { code: "CLIENT_CERTIFICATE_REFUSED" });
  await Promise.all([known.close(), unknown.close(), replica.close()]);
});

test("stapled collateral is verified like any other", async () => {
  let collateral = encodeCollateral(platform.collateral());
  const replica = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    evidence: {
      quote: (reportData) => Promise.resolve(quoteOn(platform, reportData)),
      collateral: () => Promise.resolve(collateral),
    },
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
  });
  const connect = () =>
    createChannel({ address: replica.address, tls, attestation: createAttestor({ anchors, policy }) });
  const first = connect();
  assert.deepEqual((await new PredictClient(first).predict(input)).outputs.get("y")?.data, Float32Array.of(3, 4));
  collateral = encodeCollateral(testPlatform().collateral());
  const second = connect();
  await assert.rejects(new PredictClient(second).predict(input, { retries: 0 }), {
    code: "ROOT_CRL_SIGNATURE_INVALID",
  });
  collateral = new Uint8Array();
  const third = connect();
  await assert.rejects(new PredictClient(third).predict(input, { retries: 0 }), { code: "COLLATERAL_UNAVAILABLE" });
  await Promise.all([first.close(), second.close(), third.close(), replica.close()]);
});

test("behind a gateway a rogue replica that joins gets challenges only; every request goes to the good one", async () => {
  const own = testPlatform();
  const rogue = await startRogueReplica(certificates.server, (binding) => Promise.resolve(answerFor(own, binding)));
  const gateway = await startPassthrough([rogue.port, good.address.port]);
  const refusals: string[] = [];
  const attestation = createAttestor({ ...genuine, onRefused: ({ code }) => refusals.push(code) });
  const address = { host: "127.0.0.1", port: gateway.port };
  const channel = createChannel({ address, tls, attestation, connections: 4 });
  const client = new PredictClient(channel);
  for (let call = 0; call < 20; call++) assert.equal((await client.predict(input)).replica, "good");
  assert.ok(refusals.length >= 1 && refusals.every((code) => code === "PCK_CHAIN_ROOT_NOT_TRUSTED"), String(refusals));
  assert.equal(rogue.decrypted().length, refusals.length * 38);
  await channel.close();
  await Promise.all([rogue.close(), gateway.close()]);
});

test("attestation over plaintext, and TLS that trusts nobody, are refused", () => {
  const attestation = createAttestor(genuine);
  const { address } = good;
  assert.throws(() => createChannel({ address, insecure: true, attestation }), { code: "PLAINTEXT_REFUSED" });
  assert.throws(() => createChannel({ address, tls: {} }), { code: "PLAINTEXT_REFUSED" });
});

test("a measurement that is no 64 hex digits pins nothing", () => {
  assert.throws(() => pinnedPolicy("", anchors), { code: "POLICY_MALFORMED" });
});
