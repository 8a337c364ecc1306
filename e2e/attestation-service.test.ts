import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { mockKey, type MockMaa, startMockMaa } from "../packages/attestation/src/rim/testing/mock-maa.ts";
import { type Harness, logged, startHarness, WRAP_KEY } from "../packages/broker/src/testing/harness.ts";
import { testPolicy, testPolicyDocument } from "../packages/broker/src/testing/policy.ts";
import {
  connectEnclave,
  createEnclave,
  type EnclaveOptions,
  stockProvision,
} from "../packages/broker/src/testing/stock-client.ts";
import { serviceClients } from "../packages/broker/src/admission/verifiers.ts";

// A broker whose policy takes the word of an attestation service, here a stand-in of Microsoft's over real TLS.

interface Setup {
  readonly maa: MockMaa;
  readonly harness: Harness;
  readonly provision: (options?: EnclaveOptions) => Promise<Buffer | undefined>;
}

async function setUp(t: TestContext, overrides: Record<string, unknown> = {}): Promise<Setup> {
  const clock = (): Date => new Date();
  const maa = await startMockMaa({ clock, key: mockKey("first") });
  t.after(() => maa[Symbol.asyncDispose]());
  const harness = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { platforms: [{ kind: "simulated-maa", url: maa.provider.url }], ...overrides }),
    askService: serviceClients(clock, maa.provider.tlsAuthority),
    collateral: () => Promise.reject(new Error("there is no collateral service")),
  }));
  const provision = async (options?: EnclaveOptions): Promise<Buffer | undefined> => {
    const socket = await connectEnclave(harness.server, await createEnclave(harness.platform, options));
    return stockProvision(socket, "1.9");
  };
  return { maa, harness, provision };
}

test("an enclave that the service vouches for gets its key, and the log says who vouched", async (t) => {
  const { maa, harness, provision } = await setUp(t);
  assert.deepEqual(await provision(), Buffer.from(WRAP_KEY));
  const [entry] = await logged(harness.log);
  assert.equal(entry?.decision, "released");
  assert.equal(entry.simulated, true);
  assert.equal(entry.claims?.["service"], maa.provider.url);
  assert.equal(entry.claims["tcbStatus"], "NotReported");
});

test("another enclave is refused with the rule, though the service vouches for its quote", async (t) => {
  const { harness, provision } = await setUp(t);
  assert.equal(await provision({ mrenclave: new Uint8Array(32).fill(0xbb) }), undefined);
  const refusal = await harness.event(({ type }) => type === "refusal");
  assert.equal(refusal.type === "refusal" && refusal.code, "MEASUREMENT_NOT_ALLOWED");
  assert.equal(refusal.type === "refusal" && refusal.denials[0]?.rule, "workloads.digits.identities.0.mrenclave");
});

test("a debug enclave is refused", async (t) => {
  const { harness, provision } = await setUp(t);
  assert.equal(await provision({ debug: true }), undefined);
  assert.deepEqual((await logged(harness.log))[0]?.codes, ["DEBUG_ENCLAVE"]);
});

test("while the service cannot be reached nothing is released", async (t) => {
  const { maa, harness, provision } = await setUp(t);
  await maa[Symbol.asyncDispose]();
  assert.equal(await provision(), undefined);
  assert.deepEqual((await logged(harness.log))[0]?.codes, ["MAA_SERVICE_UNREACHABLE"]);
});

test("a policy that names no service asks none", async (t) => {
  const { maa, harness, provision } = await setUp(t);
  harness.broker.replacePolicy(testPolicy(harness.platform));
  assert.equal(await provision(), undefined);
  assert.deepEqual((await logged(harness.log))[0]?.codes, ["COLLATERAL_UNAVAILABLE"]);
  assert.deepEqual(maa.requests, []);
});

test("a policy with both kinds takes the first verifier whose claims are allowed, and refuses with the reasons of both", async (t) => {
  const { maa, harness, provision } = await setUp(t);
  const byService = { name: "azure", platforms: [{ kind: "simulated-maa", url: maa.provider.url }] };
  const { platform } = harness;
  const [own] = workloadsOf(testPolicyDocument(platform));
  const [vouched] = workloadsOf(testPolicyDocument(platform, byService));
  const both = { ...testPolicyDocument(platform), workloads: [own, vouched] };
  assert.equal(harness.broker.reloadPolicy(both), true);
  assert.deepEqual(await provision(), Buffer.from(WRAP_KEY));
  assert.equal(await provision({ debug: true }), undefined);
  const [released, refused] = await logged(harness.log);
  assert.equal(released?.workload, "azure");
  assert.deepEqual(refused?.codes, [
    "COLLATERAL_UNAVAILABLE",
    "DEBUG_ENCLAVE",
    "ANCHOR_NOT_ALLOWED",
    "TCB_STATUS_NOT_ALLOWED",
  ]);
});

function workloadsOf(document: object): unknown[] {
  return "workloads" in document && Array.isArray(document.workloads) ? (document.workloads as unknown[]) : [];
}
