import assert from "node:assert/strict";
import { test } from "node:test";
import { logged, PASSPHRASE, startHarness, WRAP_KEY } from "../testing/harness.ts";
import { servingSecrets, testPolicy } from "../testing/policy.ts";
import { connectEnclave, createEnclave, receive, stockProvision } from "../testing/stock-client.ts";

const REQUEST = "SECRET_PROVISION_RA_TLS_REQUEST_V1\0";

test("a stock client of Gramine 1.4 and later gets its 16 raw bytes, and the log the release", async (t) => {
  const { server, platform, log, events } = await startHarness(t);
  const socket = await connectEnclave(server, await createEnclave(platform));
  assert.deepEqual(await stockProvision(socket, "1.9"), Buffer.from(WRAP_KEY));
  const entries = await logged(log);
  assert.equal(entries.length, 1);
  assert.equal(entries[0]?.decision, "released");
  assert.equal(entries[0]?.keyId, "digits/1");
  assert.equal(entries[0]?.simulated, true);
  assert.deepEqual(
    events.map((event) => event.type),
    ["release"],
  );
});

test("the answer is byte for byte Gramine's: prefix, NUL, big-endian length, secret, end", async (t) => {
  const { server, platform } = await startHarness(t);
  const socket = await connectEnclave(server, await createEnclave(platform));
  socket.write(REQUEST);
  const expected = Buffer.concat([
    Buffer.from("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0"),
    Buffer.from([0, 0, 0, 16]),
    Buffer.from(WRAP_KEY),
  ]);
  assert.deepEqual(await receive(socket), expected);
});

test("a Graphene client gets hex and NUL with an RSA key and the legacy extension, where its workload says so", async (t) => {
  const { server, platform } = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, {
      secrets: { keyId: "digits/1", encoding: "hexNul" },
      certificate: { allowLegacyRsa: true },
    }),
  }));
  const socket = await connectEnclave(server, await createEnclave(platform, { generation: "graphene" }));
  assert.deepEqual(await stockProvision(socket, "graphene"), Buffer.from(WRAP_KEY));
});

test("a Gramine 1.3 client gets raw bytes with an RSA key, and is refused where the workload does not allow that key", async (t) => {
  const { server, platform, broker, event } = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { certificate: { allowLegacyRsa: true } }),
  }));
  const socket = await connectEnclave(server, await createEnclave(platform, { generation: "1.3" }));
  assert.deepEqual(await stockProvision(socket, "1.3"), Buffer.from(WRAP_KEY));
  broker.replacePolicy(testPolicy(platform));
  const refused = await connectEnclave(server, await createEnclave(platform, { generation: "1.3" }));
  assert.equal(await stockProvision(refused, "1.3"), undefined);
  await event((event) => event.type === "refusal" && event.code === "RA_TLS_KEY_NOT_ALLOWED");
});

test("a string secret ends in a NUL", async (t) => {
  const { server, platform } = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { secrets: { keyId: "phrase", encoding: "text" } }),
  }));
  const socket = await connectEnclave(server, await createEnclave(platform));
  socket.write(REQUEST);
  assert.equal((await receive(socket)).subarray(41).toString(), `${PASSPHRASE}\0`);
});

test("a request that comes one byte a record is served", async (t) => {
  const { server, platform } = await startHarness(t);
  const socket = await connectEnclave(server, await createEnclave(platform));
  const answer = receive(socket);
  for (const byte of Buffer.from(REQUEST)) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await answer).length, 57);
});

test("a stock client takes its key and leaves, also where the workload offers a follow-up", async (t) => {
  const { server, platform, events } = await startHarness(t, (platform) => ({
    policy: testPolicy(platform, { secrets: servingSecrets(3) }),
    bundles: { bundle: () => Promise.resolve({ manifest: Buffer.from("m"), ownerKey: Buffer.from("k") }) },
  }));
  const socket = await connectEnclave(server, await createEnclave(platform));
  socket.write(REQUEST);
  assert.equal((await receive(socket, 57)).length, 57);
  socket.end();
  await receive(socket);
  assert.deepEqual(
    events.map((event) => event.type),
    ["release"],
  );
});

test("the listener speaks TLS 1.2 at most, and TLS 1.3 only when told", async (t) => {
  const closed = await startHarness(t);
  const one = await connectEnclave(closed.server, await createEnclave(closed.platform), "TLSv1.3");
  assert.equal(one.getProtocol(), "TLSv1.2");
  one.destroy();
  const authority = closed.authority.server("broker.test");
  const open = await startHarness(t, () => ({ tls: { ...authority, allowTls13: true } }));
  const server = { port: open.server.port, ca: closed.server.ca };
  const two = await connectEnclave(server, await createEnclave(open.platform), "TLSv1.3");
  assert.equal(two.getProtocol(), "TLSv1.3");
  assert.deepEqual(await stockProvision(two, "1.9"), Buffer.from(WRAP_KEY));
});

test("no session can be resumed: neither by ticket nor by session id", async (t) => {
  const { server, platform } = await startHarness(t);
  const enclave = await createEnclave(platform);
  const first = await connectEnclave(server, enclave);
  const session = first.getSession();
  assert.equal(first.getTLSTicket(), undefined);
  await stockProvision(first, "1.9");
  const second = await connectEnclave(server, enclave, "TLSv1.2", session);
  assert.equal(second.isSessionReused(), false);
  second.destroy();
});
