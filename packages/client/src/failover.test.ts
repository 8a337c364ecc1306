import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import { createChannel, generateLoad, PredictClient, predictFrame } from "./index.ts";
import { startPassthrough } from "./testing/passthrough.ts";

const certificates = testCertificates();

function start(replicaId: string): Promise<ModelServer> {
  return startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(1),
    replicaId,
  });
}

const frame = predictFrame({
  model: "half",
  inputs: new Map([["x", { dtype: "float", shape: [1], data: Float32Array.of(2) } as const]]),
});

for (const { name, graceMs } of [
  { name: "is killed", graceMs: 0 },
  { name: "drains", graceMs: 5000 },
]) {
  test(`of 1,000 calls none is lost when one of two servers behind a gateway ${name}`, async () => {
    const [one, two] = await Promise.all([start("one"), start("two")]);
    const passthrough = await startPassthrough([one.address.port, two.address.port]);
    const channel = createChannel({
      address: { host: "127.0.0.1", port: passthrough.port },
      tls: { ca: certificates.ca, serverName: "server.test" },
      connections: 4,
    });
    const client = new PredictClient(channel);
    let closing: Promise<void> | undefined;
    const report = await generateLoad(
      (index) => {
        if (index === 400) closing = two.close({ graceMs });
        return client.predictFrame(frame, { deadlineMs: 10_000, retries: 8 });
      },
      { requests: 1000, concurrency: 16 },
    );
    assert.deepEqual([report.succeeded, report.failed, report.errors], [1000, 0, new Map()]);
    assert.ok((report.replicas.get("one") ?? 0) > (report.replicas.get("two") ?? 0));
    assert.ok((report.replicas.get("two") ?? 0) > 100);
    await channel.close();
    await Promise.all([closing, one.close(), passthrough.close()]);
  });
}

test("a server that comes back is used again", async () => {
  const first = await start("first");
  const { port } = first.address;
  const channel = createChannel({ address: first.address, tls: { ca: certificates.ca, serverName: "server.test" } });
  const client = new PredictClient(channel);
  assert.equal((await client.predictFrame(frame)).replica, "first");
  await first.close();
  const second = await startModelServer({
    host: "127.0.0.1",
    port,
    tls: certificates.server,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    replicaId: "second",
  });
  assert.equal((await client.predictFrame(frame)).replica, "second");
  await channel.close();
  await second.close();
});

test("calls go past an address that is down, and connections are spread over those that are up", async () => {
  const [one, two] = await Promise.all([start("one"), start("two")]);
  const channel = createChannel({
    address: { host: "127.0.0.1", port: 1 },
    moreAddresses: [one.address, two.address],
    tls: { ca: certificates.ca, serverName: "server.test" },
    connections: 6,
  });
  const client = new PredictClient(channel);
  const seen = new Set<string | undefined>();
  for (let call = 0; call < 24; call++) seen.add((await client.predictFrame(frame)).replica);
  assert.deepEqual(seen, new Set(["one", "two"]));
  await channel.close();
  await Promise.all([one.close(), two.close()]);
});

test("connections end with their age, so that a server which came later gets load", async () => {
  const ports = [1, 2].map(() => 0);
  const one = await start("one");
  ports.fill(one.address.port);
  const passthrough = await startPassthrough(ports);
  const channel = createChannel({
    address: { host: "127.0.0.1", port: passthrough.port },
    tls: { ca: certificates.ca, serverName: "server.test" },
    maxConnectionAgeMs: 40,
  });
  const client = new PredictClient(channel);
  assert.equal((await client.predictFrame(frame)).replica, "one");
  const two = await start("two");
  ports.fill(two.address.port);
  await sleep(50);
  assert.equal((await client.predictFrame(frame)).replica, "two");
  await channel.close();
  await Promise.all([one.close(), two.close(), passthrough.close()]);
});
