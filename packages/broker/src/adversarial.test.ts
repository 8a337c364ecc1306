import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { buildCertificate } from "@cloister/encoding/x509-builder";
import type { ReleaseLog } from "@cloister/release-log";
import type { BrokerEvent } from "./monitoring/events.ts";
import { type Harness, logged, startHarness, WRAP_KEY } from "./testing/harness.ts";
import { testPolicy } from "./testing/policy.ts";
import {
  connectEnclave,
  createEnclave,
  type EnclaveIdentity,
  receive,
  stockProvision,
} from "./testing/stock-client.ts";

const DAY_MS = 86_400_000;

/** Asks as a stock client and expects the refusal frame, the event and the log entry of that code, and no key. */
async function expectRefusal(harness: Harness, enclave: EnclaveIdentity, code: string): Promise<void> {
  const before = harness.log.size;
  const socket = await connectEnclave(harness.server, enclave);
  const answer = receive(socket);
  socket.write("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
  const bytes = await answer;
  assert.equal(bytes.includes(Buffer.from(WRAP_KEY)), false);
  assert.equal(bytes.subarray(0, 36).toString(), "CLOISTER_PROVISION_REFUSAL_FRAME_V1:");
  assert.equal(bytes.subarray(41).toString().split("\n")[0], code);
  await harness.event((event) => event.type === "refusal" && event.code === code);
  const entries = await logged(harness.log);
  assert.equal(entries.length, before + 1);
  assert.equal(entries.at(-1)?.decision, "refused");
  assert.equal(entries.at(-1)?.codes[0], code);
}

const connectionEvent =
  (code: string) =>
  (event: BrokerEvent): boolean =>
    event.type === "connection" && event.code === code;

test("an enclave with another measurement is MEASUREMENT_NOT_ALLOWED, with expected and got", async (t) => {
  const harness = await startHarness(t);
  await expectRefusal(
    harness,
    await createEnclave(harness.platform, { mrenclave: new Uint8Array(32) }),
    "MEASUREMENT_NOT_ALLOWED",
  );
  const [event] = harness.events;
  assert.ok(event?.type === "refusal");
  assert.deepEqual(event.denials, [
    {
      code: "MEASUREMENT_NOT_ALLOWED",
      rule: "workloads.digits.identities.0.mrenclave",
      claim: "mrenclave",
      expected: "e1".repeat(32),
      got: "00".repeat(32),
    },
  ]);
});

test("a debug enclave with the right measurement is DEBUG_ENCLAVE", async (t) => {
  const harness = await startHarness(t);
  await expectRefusal(harness, await createEnclave(harness.platform, { debug: true }), "DEBUG_ENCLAVE");
});

test("an out of date platform is TCB_STATUS_NOT_ALLOWED", async (t) => {
  const harness = await startHarness(t);
  await expectRefusal(
    harness,
    await createEnclave(harness.platform, { tcbLevel: "OutOfDate" }),
    "TCB_STATUS_NOT_ALLOWED",
  );
});

test("a quote of a foreign manufacturer does not pass the verifier", async (t) => {
  const foreign = createSimulatedPlatform({ now: new Date() });
  const own = await startHarness(t, () => ({ collateral: (quote) => Promise.resolve(foreign.collateralFor(quote)) }));
  await expectRefusal(own, await createEnclave(foreign), "PCK_CHAIN_ROOT_NOT_TRUSTED");
});

test("a simulated platform that the verifier trusts but the workload does not name is refused by the policy", async (t) => {
  const other = createSimulatedPlatform({ now: new Date(), name: "other" });
  const harness = await startHarness(t, (platform) => ({
    anchors: [platform.trustAnchor, other.trustAnchor],
    collateral: (quote) => Promise.resolve(other.collateralFor(quote)),
  }));
  await expectRefusal(harness, await createEnclave(other), "ANCHOR_NOT_ALLOWED");
});

test("a simulated platform under a policy for Intel's is SIMULATED_NOT_ALLOWED", async (t) => {
  const harness = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { platforms: [{ kind: "intel" }] }),
  }));
  await expectRefusal(harness, await createEnclave(harness.platform), "SIMULATED_NOT_ALLOWED");
});

test("an expired certificate and one of the future are refused", async (t) => {
  const harness = await startHarness(t);
  const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const future = { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS) };
  await expectRefusal(harness, await createEnclave(harness.platform, past), "RA_TLS_EXPIRED");
  await expectRefusal(harness, await createEnclave(harness.platform, future), "RA_TLS_NOT_YET_VALID");
});

test("a certificate older than its workload allows is CERTIFICATE_TOO_OLD", async (t) => {
  const harness = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { certificate: { maximumAgeSeconds: 600 } }),
  }));
  const old = await createEnclave(harness.platform, { notBefore: new Date(Date.now() - 601_000) });
  await expectRefusal(harness, old, "CERTIFICATE_TOO_OLD");
});

test("a broker whose clock jumps by years refuses, and serves again when it is right", async (t) => {
  let now = (): Date => new Date();
  const harness = await startHarness(t, () => ({ clock: () => now() }));
  now = () => new Date(Date.now() + 3 * 365 * DAY_MS);
  await expectRefusal(harness, await createEnclave(harness.platform), "RA_TLS_EXPIRED");
  now = () => new Date();
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  assert.ok(await stockProvision(socket, "1.9"));
});

test("a revoked platform is refused", async (t) => {
  const harness = await startHarness(t);
  harness.platform.revokePck();
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  assert.equal(await stockProvision(socket, "1.9"), undefined);
  const [event] = harness.events;
  assert.ok(event?.type === "refusal" && /REVOKED/.test(event.code));
});

test("one key is served once: again it is CERTIFICATE_REPLAYED, also after a restart of the broker's memory", async (t) => {
  const harness = await startHarness(t);
  const enclave = await createEnclave(harness.platform);
  assert.ok(await stockProvision(await connectEnclave(harness.server, enclave), "1.9"));
  await expectRefusal(harness, enclave, "CERTIFICATE_REPLAYED");

  const restarted = await startHarness(t, () => ({
    log: harness.log,
    anchors: [harness.platform.trustAnchor],
    policy: testPolicy(harness.platform),
    collateral: (quote) => Promise.resolve(harness.platform.collateralFor(quote)),
  }));
  await expectRefusal({ ...restarted, log: harness.log }, enclave, "CERTIFICATE_REPLAYED");
});

test("of two connections with one key at the same time one is served", async (t) => {
  const harness = await startHarness(t);
  const enclave = await createEnclave(harness.platform);
  const sockets = await Promise.all([connectEnclave(harness.server, enclave), connectEnclave(harness.server, enclave)]);
  const keys = await Promise.all(sockets.map((socket) => stockProvision(socket, "1.9")));
  assert.equal(keys.filter((key) => key !== undefined).length, 1);
});

test("a workload that allows renewal serves one key again", async (t) => {
  const harness = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { certificate: { allowRenewal: true } }),
  }));
  const enclave = await createEnclave(harness.platform);
  for (let round = 0; round < 2; round += 1) {
    assert.ok(await stockProvision(await connectEnclave(harness.server, enclave), "1.9"));
  }
});

test("a captured certificate without its key does not survive the handshake", async (t) => {
  const harness = await startHarness(t);
  const enclave = await createEnclave(harness.platform);
  // The thief has another key of the same kind. Node's own check would stop him, so he certifies his key himself.
  const own = generateKeyPairSync("ec", { namedCurve: "P-384" });
  await assert.rejects(connectEnclave(harness.server, { ...enclave, ...own }), /key values mismatch/i);
  const forged = buildCertificate(
    {
      subject: [["CN", "RATLS"]],
      publicKey: own.publicKey,
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + DAY_MS),
    },
    { name: [["CN", "RATLS"]], ...own },
  );
  await expectRefusal(harness, { ...own, certificateDer: forged }, "RA_TLS_EVIDENCE_MISSING");
});

test("a quote moved into the certificate of another key is refused", async (t) => {
  const harness = await startHarness(t);
  const victim = await createEnclave(harness.platform);
  const thief = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const { parseCertificate } = await import("@cloister/encoding/x509");
  const extraExtensions = parseCertificate(victim.certificateDer)
    .extensions.filter(({ oid }) => oid.startsWith("2.23.") || oid.startsWith("0.6."))
    .map(({ oid, value }) => ({ id: oid, value }));
  assert.equal(extraExtensions.length, 2);
  const name = [["CN", "RATLS"]] as const;
  const certificateDer = buildCertificate(
    {
      subject: name,
      publicKey: thief.publicKey,
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + DAY_MS),
      extraExtensions,
    },
    { name, ...thief, hash: "sha256" },
  );
  await expectRefusal(harness, { ...thief, certificateDer }, "RA_TLS_PUBKEY_HASH_MISMATCH");
});

test("a client without a certificate is CERTIFICATE_MISSING", async (t) => {
  const harness = await startHarness(t);
  const socket = await connectEnclave(harness.server, undefined);
  assert.equal(await stockProvision(socket, "1.9"), undefined);
  await harness.event((event) => event.type === "refusal" && event.code === "CERTIFICATE_MISSING");
});

test("a certificate of 60 KB is refused and one of 300 KB does not pass the handshake", async (t) => {
  const harness = await startHarness(t);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const big = (bytes: number): EnclaveIdentity => ({
    publicKey,
    privateKey,
    certificateDer: buildCertificate(
      {
        subject: [["CN", "big"]],
        publicKey,
        notBefore: new Date(0),
        notAfter: new Date(Date.now() + DAY_MS),
        extraExtensions: [{ id: "2.23.133.5.4.9", value: new Uint8Array(bytes) }],
      },
      { name: [["CN", "big"]], publicKey, privateKey },
    ),
  });
  await expectRefusal(harness, big(60_000), "RA_TLS_CERTIFICATE_MALFORMED");
  await assert.rejects(connectEnclave(harness.server, big(300_000)));
  await harness.event(connectionEvent("HANDSHAKE_FAILED"));
});

test("another magic, half a request and an early end get nothing and are told apart", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { idleTimeoutMs: 200 } }));
  const magic = await connectEnclave(harness.server, await createEnclave(harness.platform));
  magic.write("SECRET_PROVISION_RA_TLS_REQUEST_V2\0");
  assert.equal((await receive(magic)).length, 0);
  await harness.event(connectionEvent("REQUEST_MALFORMED"));

  const half = await connectEnclave(harness.server, await createEnclave(harness.platform));
  half.write("SECRET_PROVISION_RA");
  assert.equal((await receive(half)).length, 0);
  await harness.event(connectionEvent("IDLE_TIMEOUT"));

  const early = await connectEnclave(harness.server, await createEnclave(harness.platform));
  early.end("SECRET");
  assert.equal((await receive(early)).length, 0);
  await harness.event(connectionEvent("CLIENT_ABORTED"));
  assert.equal(harness.log.size, 0);
});

test("silence and garbage instead of a handshake end in HANDSHAKE_TIMEOUT and HANDSHAKE_FAILED", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { handshakeTimeoutMs: 200 } }));
  const silent = connectTcp(harness.server.port, "127.0.0.1");
  const garbage = connectTcp(harness.server.port, "127.0.0.1");
  for (const socket of [silent, garbage]) socket.on("error", () => undefined);
  garbage.write(Buffer.alloc(500, 0x5a));
  await harness.event(connectionEvent("HANDSHAKE_TIMEOUT"));
  await harness.event(connectionEvent("HANDSHAKE_FAILED"));
});

test("a client that drips bytes for ever is cut off by CONNECTION_TIMEOUT", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { connectionTimeoutMs: 400, idleTimeoutMs: 300 } }));
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  const drip = setInterval(() => socket.write("S"), 50);
  await harness.event(connectionEvent("CONNECTION_TIMEOUT"));
  clearInterval(drip);
});

test("TLS 1.1 and renegotiation are refused", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { idleTimeoutMs: 200 } }));
  const old = connectTls({
    port: harness.server.port,
    host: "127.0.0.1",
    ca: harness.server.ca,
    servername: "broker.test",
    minVersion: "TLSv1.1",
    maxVersion: "TLSv1.1",
    ciphers: "DEFAULT@SECLEVEL=0",
  });
  await assert.rejects(
    new Promise((resolve, reject) => {
      old.once("secureConnect", resolve);
      old.once("error", reject);
    }),
  );
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  const outcome = await new Promise<unknown>((resolve) => {
    socket.once("error", resolve);
    socket.once("close", () => resolve("closed"));
    socket.renegotiate({}, resolve);
  });
  // Null would be a new handshake on the old connection.
  assert.notEqual(outcome, null);
});

test("when the log cannot take the entry, no key leaves", async (t) => {
  const harness = await startHarness(t);
  await harness.log.close();
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  assert.equal(await stockProvision(socket, "1.9"), undefined);
  const event = await harness.event((event) => event.type === "refusal" && event.code === "LOG_UNAVAILABLE");
  assert.equal(event.type === "refusal" && event.logIndex, null);
});

test("a log that has to be opened again raises an alarm of its own", async (t) => {
  const harness = await startHarness(t, () => ({ log: brokenLog() }));
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  assert.equal(await stockProvision(socket, "1.9"), undefined);
  await harness.event((event) => event.type === "alarm" && event.code === "LOG_BROKEN");
});

/** As after a failed fsync. */
const brokenLog = (): ReleaseLog => ({
  size: 0,
  checkpoint: "",
  isBroken: true,
  append: () => Promise.reject(new Error("broken")),
  async *entries() {},
  close: () => Promise.resolve(),
});

test("collateral or a key that cannot be had is a refusal with its own code, and the key can be used again later", async (t) => {
  let isDown = true;
  const harness = await startHarness(t, (platform) => ({
    collateral: (quote) =>
      isDown ? Promise.reject(new Error("down")) : Promise.resolve(platform.collateralFor(quote)),
    policy: testPolicy(platform, { secrets: { keyId: "unknown" } }),
  }));
  const enclave = await createEnclave(harness.platform);
  await expectRefusal(harness, enclave, "COLLATERAL_UNAVAILABLE");
  isDown = false;
  await expectRefusal(harness, enclave, "KEY_UNAVAILABLE");
  harness.broker.replacePolicy(testPolicy(harness.platform));
  assert.ok(await stockProvision(await connectEnclave(harness.server, enclave), "1.9"));
});

test("a policy replaced while the entry is being written has the last word", async (t) => {
  const gate = Promise.withResolvers<undefined>();
  const asked = Promise.withResolvers<undefined>();
  const harness = await startHarness(t);
  const { log } = harness;
  const slow = await startHarness(t, () => ({
    anchors: [harness.platform.trustAnchor],
    policy: testPolicy(harness.platform),
    collateral: (quote) => Promise.resolve(harness.platform.collateralFor(quote)),
    log: {
      get size() {
        return log.size;
      },
      get checkpoint() {
        return log.checkpoint;
      },
      entries: (start) => log.entries(start),
      close: () => Promise.resolve(),
      async append(entry) {
        asked.resolve(undefined);
        await gate.promise;
        return log.append(entry);
      },
    },
  }));
  const socket = await connectEnclave(slow.server, await createEnclave(harness.platform));
  const key = stockProvision(socket, "1.9");
  await asked.promise;
  slow.broker.replacePolicy(
    testPolicy(harness.platform, { debug: true, identities: [{ tee: "sgx", mrenclave: "00".repeat(32) }] }),
  );
  gate.resolve(undefined);
  assert.equal(await key, undefined);
  assert.deepEqual(
    (await logged(log)).map((entry) => `${entry.decision} ${entry.codes.join(" ")}`),
    ["released ", "refused MEASUREMENT_NOT_ALLOWED"],
  );
});

test("a policy file that does not parse keeps the last good policy and raises an alarm; a good one takes over", async (t) => {
  const { broker, server, platform, event } = await startHarness(t);
  assert.equal(broker.reloadPolicy({ schema: "cloister-policy/1", workloads: "all" }), false);
  await event((event) => event.type === "alarm" && event.code === "POLICY_REJECTED");
  assert.ok(await stockProvision(await connectEnclave(server, await createEnclave(platform)), "1.9"));
  assert.equal(broker.reloadPolicy({ schema: "cloister-policy/1" }), true);
  assert.equal(await stockProvision(await connectEnclave(server, await createEnclave(platform)), "1.9"), undefined);
  await event((event) => event.type === "refusal" && event.code === "NO_WORKLOAD_MATCHES");
});

test("an operator's event handler that throws changes nothing", async (t) => {
  const harness = await startHarness(t, () => ({
    onEvent() {
      throw new Error("handler");
    },
  }));
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  assert.ok(await stockProvision(socket, "1.9"));
});

test("no event and no log entry holds the wrap key in any form", async (t) => {
  const harness = await startHarness(t);
  await stockProvision(await connectEnclave(harness.server, await createEnclave(harness.platform)), "1.9");
  const text = JSON.stringify([harness.events, await logged(harness.log)]);
  const key = Buffer.from(WRAP_KEY);
  for (const form of [key.toString("hex"), key.toString("base64").slice(0, 20), key.toString("latin1")]) {
    assert.equal(text.includes(form), false);
  }
});
