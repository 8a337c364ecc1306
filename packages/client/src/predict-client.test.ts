import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import { type ChannelOptions, ClientError, createChannel, PredictClient } from "./index.ts";
import { startPassthrough } from "./testing/passthrough.ts";

const certificates = testCertificates();
const hasCode = (code: string) => (error: unknown) => error instanceof ClientError && error.code === code;
const x: Tensor = { dtype: "float", shape: [3], data: Float32Array.of(2, 3, 4) };
const half = { model: "half", inputs: new Map([["x", x]]) };

let server: ModelServer;
before(async () => {
  server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: { ...certificates.server, ca: certificates.ca, requireClientCertificate: true },
    models: [{ name: "half", version: 5, files: new Map() }],
    engine: elementwiseEngine(),
    replicaId: "one",
  });
});
after(() => server.close());

async function withClient<T>(options: Partial<ChannelOptions>, use: (client: PredictClient) => Promise<T>): Promise<T> {
  const tls = { ca: certificates.ca, ...certificates.client, serverName: "server.test" };
  const channel = createChannel({ address: server.address, tls, ...options });
  try {
    return await use(new PredictClient(channel));
  } finally {
    await channel.close();
  }
}

test("a prediction over mutual TLS tells outputs, version and replica", async () => {
  const { outputs, model, replica } = await withClient({}, (client) => client.predict(half));
  assert.deepEqual(outputs.get("y")?.data, Float32Array.of(3, 3.5, 4));
  assert.deepEqual(outputs.get("square")?.shape, [3]);
  assert.deepEqual(model, { name: "half", version: 5n, signatureName: "serving_default" });
  assert.equal(replica, "one");
});

test("version, signature and outputs are asked for", async () => {
  await withClient({}, async (client) => {
    const { outputs } = await client.predict({ ...half, version: 5, outputs: ["square"] });
    assert.deepEqual([...outputs.keys()], ["square"]);
    const inputs = new Map([
      ["a", x],
      ["b", x],
    ]);
    const sum = await client.predict({ model: "half", signature: "add", inputs });
    assert.deepEqual(sum.outputs.get("sum")?.data, Float32Array.of(4, 6, 8));
    await assert.rejects(client.predict({ ...half, version: 6 }), hasCode("NOT_FOUND"));
  });
});

test("status and metadata are told", async () => {
  await withClient({}, async (client) => {
    const [status] = await client.status({ model: "half" });
    assert.deepEqual([status?.version, status?.state], [5n, 30]);
    const { version, signatures } = await client.metadata({ model: "half" });
    assert.equal(version, 5n);
    assert.deepEqual(Object.keys(signatures.get("add")?.inputs ?? {}).toSorted(), ["a", "b"]);
    await assert.rejects(client.status({ model: "none" }), hasCode("NOT_FOUND"));
  });
});

test("the server's text is the error's what", async () => {
  await withClient({}, async (client) => {
    await assert.rejects(client.predict({ ...half, signature: "none" }), (error: unknown) => {
      assert.ok(error instanceof ClientError);
      assert.deepEqual(
        [error.code, error.explanation.what],
        ["FAILED_PRECONDITION", 'Serving signature key "none" not found.'],
      );
      return true;
    });
  });
});

test("a channel without TLS is made only when it is asked for, and never with both", () => {
  const { address } = server;
  assert.throws(() => createChannel({ address }), hasCode("PLAINTEXT_REFUSED"));
  const both = { address, insecure: true, tls: { ca: certificates.ca } };
  assert.throws(() => createChannel(both), hasCode("PLAINTEXT_REFUSED"));
});

test("a server under another authority, and one of another name, get no byte of the request", async () => {
  const passthrough = await startPassthrough([server.address.port]);
  const address = { host: "127.0.0.1", port: passthrough.port };
  const refused = [
    { ca: testCertificates().ca, serverName: "server.test" },
    { ca: certificates.ca, serverName: "other.test" },
  ];
  const codes = [];
  for (const own of refused) {
    const tls = { ...own, ...certificates.client };
    const call = withClient({ address, tls }, (client) => client.predict(half, { retries: 5 }));
    codes.push(
      await call.then(
        () => "OK",
        (error: ClientError) => error.code,
      ),
    );
  }
  await passthrough.close();
  assert.deepEqual(codes, ["SERVER_NOT_TRUSTED", "SERVER_NOT_TRUSTED"]);
  // TLS 1.3 sends the alert as application data too; nothing but two alerts has room here.
  assert.ok(applicationData(passthrough.received()) < 100);
});

/** Bytes in TLS records of type application data. */
function applicationData(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset + 5 <= bytes.length;) {
    const length = bytes.readUInt16BE(offset + 3);
    if (bytes[offset] === 23) sum += length;
    offset += 5 + length;
  }
  return sum;
}

test("a client without a certificate is refused by a server that asks for one", async () => {
  const tls = { ca: certificates.ca, serverName: "server.test" };
  await assert.rejects(
    withClient({ tls }, (client) => client.predict(half, { retries: 1 })),
    hasCode("CLIENT_CERTIFICATE_REFUSED"),
  );
});

test("an IP address is checked against the certificate's addresses", async () => {
  const tls = { ca: certificates.ca, ...certificates.client };
  const { replica } = await withClient({ tls }, (client) => client.predict(half));
  assert.equal(replica, "one");
});

test("nobody listening is UNAVAILABLE, and a deadline ends the retries", async () => {
  const address = { host: "127.0.0.1", port: 1 };
  await assert.rejects(
    withClient({ address }, (client) => client.predict(half, { retries: 1 })),
    hasCode("UNAVAILABLE"),
  );
  const startedAt = performance.now();
  const options = { retries: 1000, deadlineMs: 200 };
  await assert.rejects(
    withClient({ address }, (client) => client.predict(half, options)),
    hasCode("DEADLINE_EXCEEDED"),
  );
  assert.ok(performance.now() - startedAt < 1500);
});

test("a server that accepts and says nothing is given up after the connect time-out", async () => {
  const { createServer } = await import("node:net");
  const mute = createServer((socket) => socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => {
    mute.listen(0, "127.0.0.1", resolve);
  });
  const { port } = mute.address() as { port: number };
  const options = { address: { host: "127.0.0.1", port }, connectTimeoutMs: 100 };
  await assert.rejects(
    withClient(options, (client) => client.predict(half, { retries: 0 })),
    hasCode("UNAVAILABLE"),
  );
  mute.close();
});

test("a call can be cancelled, before and while it runs", async () => {
  const slow = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(300),
  });
  const channel = createChannel({ address: slow.address, insecure: true });
  const client = new PredictClient(channel);
  await assert.rejects(client.predict(half, { signal: AbortSignal.abort() }), hasCode("CANCELLED"));
  await assert.rejects(client.predict(half, { signal: AbortSignal.timeout(50) }), hasCode("CANCELLED"));
  await assert.rejects(client.predict(half, { deadlineMs: 50 }), hasCode("DEADLINE_EXCEEDED"));
  await channel.close();
  await assert.rejects(client.predict(half), hasCode("CANCELLED"));
  await slow.close({ graceMs: 0 });
});
