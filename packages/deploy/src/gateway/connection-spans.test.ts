import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { startModelServer } from "@cloister/model-server";
import { elementwiseEngine } from "@cloister/model-server/testing";
import { OtlpExporter } from "@cloister/model-server/tracing";
import { ConnectionSpans } from "./connection-spans.ts";
import { startPassthrough } from "./passthrough.ts";
import { startEchoBackend } from "./testing/echo-backend.ts";

const LOOPBACK = "127.0.0.1";

interface ReceivedSpan {
  readonly name: string;
  readonly status: { readonly message?: string };
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { key: string; value: { stringValue?: string; intValue?: string } }[];
}

/** A collector, and the spans that it got. */
async function collector(context: TestContext): Promise<{ endpoint: string; spans: ReceivedSpan[] }> {
  const spans: ReceivedSpan[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: ReceivedSpan[] }[] }[] };
      spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
      response.end("{}");
    });
  });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  context.after(() => server.close());
  return { endpoint: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`, spans };
}

const attribute = ({ attributes }: ReceivedSpan, key: string): string | undefined => {
  const value = attributes.find((each) => each.key === key)?.value;
  return value?.stringValue ?? value?.intValue;
};

test("each connection is a span: who, for which name, to which backend, how much, and how it ended", async (context) => {
  const { endpoint, spans } = await collector(context);
  const told = new ConnectionSpans({ endpoint, ratio: 1 });
  const backend = await startEchoBackend("a", { tls: true });
  context.after(() => backend.close());
  const ended = Promise.withResolvers<void>();
  let count = 0;
  const gateway = await startPassthrough({
    host: LOOPBACK,
    port: 0,
    onConnectionEnd: (record) => {
      told.add(record);
      if (++count === 2) ended.resolve();
    },
  });
  context.after(() => gateway.close());
  await gateway.setRoutes([{ serverName: "a.example.com", backends: [backend] }]);
  const dial = (servername: string) =>
    connectTls({ ...gateway.address, servername, rejectUnauthorized: false }).on("error", () => undefined);
  const passed = dial("a.example.com");
  await once(passed, "data");
  passed.destroy();
  dial("b.example.com");
  await ended.promise;
  await told.close();

  assert.deepEqual(new Set(spans.map(({ name }) => name)), new Set(["gateway.connection"]));
  const good = spans.find((span) => attribute(span, "cloister.outcome") === "passed") ?? assert.fail();
  const lost = spans.find((span) => attribute(span, "cloister.outcome") === "no-route") ?? assert.fail();
  assert.deepEqual([good.status, lost.status.message], [{}, "no-route"]);
  assert.equal(attribute(good, "tls.client.server_name"), "a.example.com");
  assert.equal(attribute(good, "network.peer.address"), LOOPBACK);
  assert.equal(attribute(good, "cloister.backend"), backend.id);
  assert.match(attribute(good, "cloister.upstream_address") ?? "", /^127\.0\.0\.1:\d+$/);
  assert.ok(Number(attribute(good, "cloister.bytes_from_client")) > 0);
  assert.ok(Number(attribute(good, "cloister.bytes_to_client")) > 0);
  assert.ok(BigInt(good.endTimeUnixNano) >= BigInt(good.startTimeUnixNano));
});

test("a connection's span and the span of a REST call on it name the same address", async (context) => {
  const { endpoint, spans } = await collector(context);
  const told = new ConnectionSpans({ endpoint, ratio: 1 });
  const server = await startModelServer({
    host: LOOPBACK,
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    rest: { host: LOOPBACK, port: 0 },
    insecureRest: true,
    tracing: { ratio: 1, exporter: new OtlpExporter(endpoint, "test") },
  });
  const ended = Promise.withResolvers<void>();
  const gateway = await startPassthrough({
    host: LOOPBACK,
    port: 0,
    onConnectionEnd: (record) => {
      told.add(record);
      ended.resolve();
    },
  });
  context.after(() => gateway.close());
  const backend = { id: "rest", host: LOOPBACK, port: server.restAddress?.port ?? 0 };
  await gateway.setRoutes([{ serverName: "*", backends: [backend] }]);
  const socket = connect(gateway.address).on("error", () => undefined);
  socket.write("GET /v1/models/half HTTP/1.1\r\nHost: half\r\nConnection: close\r\n\r\n");
  await once(socket.resume(), "close");
  await ended.promise;
  await Promise.all([told.close(), server.close()]);

  const connection = spans.find(({ name }) => name === "gateway.connection") ?? assert.fail();
  const call = spans.find(({ name }) => name === "GET /v1/models/half") ?? assert.fail();
  assert.equal(
    attribute(connection, "cloister.upstream_address"),
    `${attribute(call, "network.peer.address")}:${attribute(call, "network.peer.port")}`,
  );
});

test("of the connections the part is told that was asked for", async (context) => {
  const { endpoint, spans } = await collector(context);
  const told = new ConnectionSpans({ endpoint, ratio: 0 });
  told.add({
    client: LOOPBACK,
    serverName: "",
    backend: "a",
    upstream: "",
    outcome: "passed",
    bytesFromClient: 1,
    bytesToClient: 1,
    seconds: 1,
  });
  await told.close();
  assert.deepEqual(spans, []);
});
