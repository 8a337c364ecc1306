import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { test } from "node:test";
import { startHarness } from "./testing/harness.ts";
import { connectEnclave, createEnclave, stockProvision } from "./testing/stock-client.ts";

/** Opens idle TCP connections, and slow ones that send a byte of a ClientHello now and then. */
async function hold(port: number, idle: number, slow: number): Promise<() => void> {
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
  return () => {
    clearInterval(drip);
    for (const socket of sockets) socket.destroy();
  };
}

async function timeOfReleases(harness: Awaited<ReturnType<typeof startHarness>>, count: number): Promise<number> {
  const enclaves = await Promise.all(Array.from({ length: count }, () => createEnclave(harness.platform)));
  const startedAt = performance.now();
  for (const enclave of enclaves) {
    assert.ok(await stockProvision(await connectEnclave(harness.server, enclave), "1.9"));
  }
  return performance.now() - startedAt;
}

test("200 idle and 50 slow sockets do not delay good clients: they are served as fast as without them", async (t) => {
  const limits = { connectionsPerAddress: 1000, connections: 1000 };
  const harness = await startHarness(t, () => ({ limits }));
  await timeOfReleases(harness, 10);
  // By turns, and the best of each, so that another load on the machine does not decide.
  const [alone, beside]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < 4; turn += 1) {
    alone.push(await timeOfReleases(harness, 10));
    const letGo = await hold(harness.server.port, 200, 50);
    beside.push(await timeOfReleases(harness, 10));
    letGo();
  }
  const [best, bestBeside] = [Math.min(...alone), Math.min(...beside)];
  assert.ok(bestBeside < best * 1.5, `10 releases took ${best} ms alone, ${bestBeside} ms beside the sockets`);
});

test("at the limit the oldest silent connection gives way, and good clients are served", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { connections: 20, connectionsPerAddress: 1000 } }));
  const letGo = await hold(harness.server.port, 20, 0);
  await timeOfReleases(harness, 5);
  letGo();
  assert.ok(harness.events.some((event) => event.type === "connection" && event.code === "CONNECTION_LIMIT"));
  assert.equal(harness.events.filter((event) => event.type === "release").length, 5);
});

test("one address cannot hold more than its share, and its own good clients still get through", async (t) => {
  const harness = await startHarness(t, () => ({ limits: { connectionsPerAddress: 10 } }));
  const letGo = await hold(harness.server.port, 30, 0);
  await timeOfReleases(harness, 3);
  letGo();
  const dropped = harness.events.filter(
    (event) => event.type === "connection" && event.code === "ADDRESS_LIMIT",
  ).length;
  assert.ok(dropped >= 20 && dropped <= 30, `${dropped} dropped`);
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
    { code: "EADDRINUSE" },
  );
});
