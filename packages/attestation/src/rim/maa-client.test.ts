import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { appraiseRaTlsBy, createRaTlsCertificate } from "../ra-tls/ra-tls.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { createMaaClient } from "./maa-client.ts";
import { mockKey, startMockMaa, type MockMaaOptions } from "./testing/mock-maa.ts";

const NOW = new Date("2026-03-10T12:00:00Z");
const platform = createSimulatedPlatform({ now: NOW });
const enclave = { mrenclave: new Uint8Array(32).fill(1), mrsigner: new Uint8Array(32).fill(2) };
const quote = platform.quote({ ...enclave, reportData: new Uint8Array(64) });
const first = mockKey("first");
const second = mockKey("second", "ES256");

function setUp(intercept?: MockMaaOptions["intercept"]) {
  const time = { now: NOW };
  const clock = (): Date => time.now;
  return { time, clock, start: () => startMockMaa({ clock, key: first, ...(intercept && { intercept }) }) };
}

const keyFetches = (requests: readonly string[]): number => requests.filter((path) => path === "/certs").length;

test("a quote is appraised by asking the service, and its keys are fetched once", async () => {
  const { clock, start } = setUp();
  await using maa = await start();
  const client = createMaaClient({ provider: maa.provider, clock });
  const claims = await client.appraise(quote);
  assert.equal(claims.verifier, "maa");
  assert.deepEqual(claims.sgx?.mrenclave, enclave.mrenclave);
  await Promise.all([client.appraise(quote), client.appraise(quote)]);
  assert.equal(keyFetches(maa.requests), 1);
  assert.equal(maa.requests[0], "/attest/SgxEnclave?api-version=2022-08-01");
});

test("a key that the service changed to is fetched when a token names it", async () => {
  const { clock, start, time } = setUp();
  await using maa = await start();
  const client = createMaaClient({ provider: maa.provider, clock });
  await client.appraise(quote);
  maa.rotate([first, second], second);
  await assert.rejects(client.appraise(quote), { code: "MAA_KEY_UNKNOWN" });
  assert.equal(keyFetches(maa.requests), 1);
  time.now = new Date(NOW.getTime() + 30_000);
  assert.equal((await client.appraise(quote)).verifier, "maa");
  assert.equal(keyFetches(maa.requests), 2);
});

test("a key that the service has withdrawn is dropped after an hour", async () => {
  const { clock, start, time } = setUp();
  await using maa = await start();
  const client = createMaaClient({ provider: maa.provider, clock });
  await client.appraise(quote);
  maa.rotate([second], first);
  time.now = new Date(NOW.getTime() + 3_600_000);
  await assert.rejects(client.appraise(quote), { code: "MAA_KEY_UNKNOWN" });
});

test("an RA-TLS certificate is appraised through the service, with every binding to its key", async () => {
  const { clock, start } = setUp();
  await using maa = await start();
  const client = createMaaClient({ provider: maa.provider, clock });
  const keyPair = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const make = (reportData?: Uint8Array) =>
    createRaTlsCertificate({
      keyPair,
      quote: (wanted) => Promise.resolve(platform.quote({ ...enclave, reportData: reportData ?? wanted })),
      notBefore: NOW,
      notAfter: new Date(NOW.getTime() + 86_400_000),
    });
  const peer = await appraiseRaTlsBy(client.appraise, await make(), NOW);
  assert.equal(peer.claims.verifier, "maa");
  assert.equal(peer.evidence, "both");
  assert.deepEqual(peer.validUntil, new Date(NOW.getTime() + 8 * 3_600_000));
  const unbound = await make(new Uint8Array(64));
  await assert.rejects(appraiseRaTlsBy(client.appraise, unbound, NOW), { code: "MAA_RUNTIME_DATA_MISMATCH" });
  const lax = (asked: Uint8Array) => client.appraise(asked);
  await assert.rejects(appraiseRaTlsBy(lax, unbound, NOW), { code: "RA_TLS_REPORT_DATA_MISMATCH" });
  const confused = () => client.appraise(quote);
  await assert.rejects(appraiseRaTlsBy(confused, await make(), NOW), { code: "RA_TLS_REPORT_DATA_MISMATCH" });
});

const faults: readonly [string, NonNullable<MockMaaOptions["intercept"]>, string][] = [
  ["400", (_, response) => Boolean(response.writeHead(400).end()), "MAA_SERVICE_REFUSED"],
  ["302", (_, response) => Boolean(response.writeHead(302, { location: "/" }).end()), "MAA_SERVICE_REFUSED"],
  ["429", (_, response) => Boolean(response.writeHead(429).end()), "MAA_SERVICE_FAILED"],
  ["500", (_, response) => Boolean(response.writeHead(500).end()), "MAA_SERVICE_FAILED"],
  ["nothing", () => true, "MAA_SERVICE_UNREACHABLE"],
  ["no token", (_, response) => Boolean(response.end("{}")), "MAA_RESPONSE_MALFORMED"],
  ["2 MiB", (_, response) => Boolean(response.end(Buffer.alloc(2 << 20))), "MAA_RESPONSE_MALFORMED"],
];

for (const [title, intercept, code] of faults) {
  test(`the service answers with ${title}: ${code}`, async () => {
    const { clock, start } = setUp(intercept);
    await using maa = await start();
    const client = createMaaClient({ provider: maa.provider, clock, timeoutMs: title === "nothing" ? 300 : 30_000 });
    await assert.rejects(client.appraise(quote), { code });
  });
}

test("a service without the right TLS certificate gets nothing", async () => {
  const { clock, start } = setUp();
  await using maa = await start();
  const { url } = maa.provider;
  const client = createMaaClient({ provider: { url, kind: "simulated" }, clock });
  await assert.rejects(client.appraise(quote), { code: "MAA_SERVICE_UNREACHABLE" });
  assert.deepEqual(maa.requests, []);
});
