import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { test } from "node:test";
import { startHarness } from "./testing/harness.ts";
import { connectEnclave, createEnclave, stockProvision } from "./testing/stock-client.ts";

interface Held {
  /** How many of the sockets the broker still keeps. */
  readonly open: () => number;
  readonly letGo: () => void;
}

/** Opens idle TCP connections, and slow ones that send a byte of a ClientHello now and then. */
async function hold(port: number, idle: number, slow: number): Promise<Held> {
  const sockets: Socket[] = [];
  for (let i = 0; i < idle + slow; i += 1) {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    sockets.push(socket);
  }
  const hello = Buffer.from("160301020001000101fc0303", "hex");
  let turn = 0;
  const drip = setInterval(() => {
    for (const socket of sockets.slice(idle))
      socket.write(hello.subarray(turn % hello.length, (turn % hello.length) + 1));
    turn += 1;
  }, 100);
  return {
    open: () => sockets.filter((socket) => socket.readyState === "open").length,
    letGo: () => {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function release(harness: Awaited<ReturnType<typeof startHarness>>, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const enclave = await createEnclave(harness.platform);
    assert.ok(await stockProvision(await connectEnclave(harness.server, enclave), "1.9"));
  }
}

// How fast good clients are beside the others is measured in bench/broker.ts. Here it counts that nobody has to go first.
test("good clients are served while 200 idle and 50 slow sockets stay open", async (t) => {
  const limits = { connectionsPerAddress: 1000, connections: 1000, handshakeTimeoutMs: 600_000 };
  const harness = await startHarness(t, () => ({ limits }));
  const held = await hold(harness.server.port, 200, 50);
  await release(harness, 10);
  assert.equal(held.open(), 250, "no socket had to be closed first");
  assert.equal(harness.events.filter(({ type }) => type === "release").length, 10);
  held.letGo();
});

test("at the limit the oldest silent connection gives way, and good clients are served", async (t) => {
  const harness = await startHarness(t, () => ({
    limits: { connections: 20, connectionsPerAddress: 1000, displaceAfterMs: 0 },
  }));
  const { letGo } = await hold(harness.server.port, 20, 0);
  await release(harness, 5);
  letGo();
  assert.ok(harness.events.some((event) => event.type === "connection" && event.code === "CONNECTION_LIMIT"));
  assert.equal(harness.events.filter((event) => event.type === "release").length, 5);
});

test("one address cannot hold more than its share, and its own good clients still get through", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { connectionsPerAddress: 10, displaceAfterMs: 0 } }));
  const { letGo } = await hold(harness.server.port, 30, 0);
  await release(harness, 3);
  letGo();
  const dropped = harness.events.filter(
    (event) => event.type === "connection" && event.code === "ADDRESS_LIMIT",
  ).length;
  assert.ok(dropped >= 20 && dropped <= 30, `${dropped} dropped`);
});

test("a handshake under way is not given up for a newcomer: of many at once the first are served", async (t) => {
  const limits = { connectionsPerAddress: 2, displaceAfterMs: 600_000 };
  const harness = await startHarness(t, () => ({ limits }));
  const first = await connectEnclave(harness.server, await createEnclave(harness.platform));
  const { letGo } = await hold(harness.server.port, 5, 0);
  await harness.event((event) => event.type === "connection" && event.code === "ADDRESS_LIMIT");
  assert.ok(await stockProvision(first, "1.9"));
  letGo();
});

test("behind a busy address a good client waits for a place, and gets it as soon as another is done", async (t) => {
  const limits = { connectionsPerAddress: 2, displaceAfterMs: 600_000 };
  const harness = await startHarness(t, () => ({ limits }));
  const enclaves = await Promise.all(Array.from({ length: 3 }, () => createEnclave(harness.platform)));
  const [first, second, third] = enclaves;
  const busy = [await connectEnclave(harness.server, first), await connectEnclave(harness.server, second)];
  const waiting = connectEnclave(harness.server, third);
  const isEarly = await Promise.race([
    waiting.then(() => true),
    new Promise((resolve) => setTimeout(resolve, 100, false)),
  ]);
  assert.equal(isEarly, false, "there is no place yet");
  for (const socket of busy) assert.ok(await stockProvision(socket, "1.9"));
  assert.ok(await stockProvision(await waiting, "1.9"));
  assert.deepEqual(
    harness.events.filter(({ type }) => type === "connection"),
    [],
  );
});

test("who waits for a place displaces a silent connection once that had its time", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { connectionsPerAddress: 2, displaceAfterMs: 300 } }));
  const { letGo } = await hold(harness.server.port, 2, 0);
  await release(harness, 1);
  letGo();
  const codes = harness.events.flatMap((event) => (event.type === "connection" ? [event.code] : []));
  assert.ok(codes.includes("ADDRESS_LIMIT"));
});

test("who waits for a place longer than a handshake may take is told from others by the limit", async (t) => {
  const limits = { connectionsPerAddress: 1, displaceAfterMs: 600_000, handshakeTimeoutMs: 200 };
  const harness = await startHarness(t, () => ({ limits }));
  const first = await connectEnclave(harness.server, await createEnclave(harness.platform));
  const waiting = connectTcp(harness.server.port, "127.0.0.1");
  await harness.event((event) => event.type === "connection" && event.code === "ADDRESS_LIMIT");
  waiting.destroy();
  assert.ok(await stockProvision(first, "1.9"));
});

test("a broker that closes does not keep those who wait for a place", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { connectionsPerAddress: 1, displaceAfterMs: 600_000 } }));
  const { letGo, open } = await hold(harness.server.port, 2, 0);
  await harness.broker.close(50);
  while (open() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  letGo();
});

test("clients that leave while they wait for their turn cost no appraisal and no entry", async (t) => {
  const gate = Promise.withResolvers<undefined>();
  const appraised: Uint8Array[] = [];
  const harness = await startHarness(t, (platform) => ({
    async collateral(quote) {
      appraised.push(quote);
      await gate.promise;
      return platform.collateralFor(quote);
    },
  }));
  const enclaves = await Promise.all(Array.from({ length: 67 }, () => createEnclave(harness.platform)));
  const sockets = await Promise.all(enclaves.map((enclave) => connectEnclave(harness.server, enclave)));
  const served = sockets.slice(0, 64).map((socket) => stockProvision(socket, "1.9"));
  while (appraised.length < 64) await new Promise((resolve) => setTimeout(resolve, 5));
  const [broken, ended, patient] = sockets.slice(64);
  assert.ok(broken !== undefined && ended !== undefined && patient !== undefined);
  const answered = stockProvision(patient, "1.9");
  const left = Promise.all(
    [broken, ended].map(async (socket) => {
      await new Promise((resolve) => socket.write("SECRET_PROVISION_RA_TLS_REQUEST_V1\0", resolve));
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (socket === broken) socket.destroy();
      else socket.end();
    }),
  );
  await left;
  while (harness.events.filter(({ type }) => type === "connection").length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  gate.resolve(undefined);
  assert.equal((await Promise.all([...served, answered])).filter((key) => key !== undefined).length, 65);
  assert.equal(appraised.length, 65);
  assert.equal(harness.log.size, 65);
  const codes = harness.events.flatMap((event) => (event.type === "connection" ? [event.code] : []));
  assert.deepEqual(codes, ["CLIENT_ABORTED", "CLIENT_ABORTED"]);
});

test("more waiting evidence than the queue holds is BROKER_BUSY, and the rest is served", async (t) => {
  const gate = Promise.withResolvers<undefined>();
  const harness = await startHarness(t, (platform) => ({
    limits: { pendingAppraisals: 0 },
    async collateral(quote) {
      await gate.promise;
      return platform.collateralFor(quote);
    },
  }));
  const enclaves = await Promise.all(Array.from({ length: 66 }, () => createEnclave(harness.platform)));
  const keys = enclaves.map(async (enclave) => stockProvision(await connectEnclave(harness.server, enclave), "1.9"));
  await harness.event((event) => event.type === "refusal" && event.code === "BROKER_BUSY");
  await new Promise((resolve) => setTimeout(resolve, 200));
  gate.resolve(undefined);
  const served = (await Promise.all(keys)).filter((key) => key !== undefined).length;
  assert.equal(served, 64);
});

test("a broker that closes finishes what it began and frees its port", async (t) => {
  const harness = await startHarness(t);
  const socket = await connectEnclave(harness.server, await createEnclave(harness.platform));
  const closed = harness.broker.close(2000);
  assert.ok(await stockProvision(socket, "1.9"));
  await closed;
  const late = connectTcp(harness.server.port, "127.0.0.1");
  await assert.rejects(once(late, "connect"), { code: "ECONNREFUSED" });
});

test("a port that is taken is an error of the start", async (t) => {
  const { server } = await startHarness(t);
  await assert.rejects(
    startHarness(t, () => ({ port: server.port })),
    { code: "LISTEN_FAILED" },
  );
});
