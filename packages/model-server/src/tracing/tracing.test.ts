import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { PredictRequestSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { create, toBinary } from "@bufbuild/protobuf";
import { defaultBatching, type EndedCall, OtlpExporter, startModelServer } from "../index.ts";
import { elementwiseEngine } from "../testing/index.ts";
import { parseTraceParent } from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

interface Received {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { key: string; value: { stringValue?: string; intValue?: string } }[];
}

/** A collector that keeps what it gets. */
async function collector(
  context: TestContext,
): Promise<{ endpoint: string; bodies: string[]; spans: () => Received[] }> {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      bodies.push(body);
      response.writeHead(request.url === "/v1/traces" ? 200 : 404).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  type Export = { resourceSpans: { scopeSpans: { spans: Received[] }[] }[] };
  const spansOf = (body: string): Received[] =>
    (JSON.parse(body) as Export).resourceSpans.flatMap((one) => one.scopeSpans.flatMap(({ spans }) => spans));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, bodies, spans: () => bodies.flatMap(spansOf) };
}

function predict(port: number, traceparent: string): Promise<unknown> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("traceparent", traceparent);
  const request = create(PredictRequestSchema, {
    modelSpec: { name: "half" },
    inputs: { x: { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 1n }] }, floatVal: [271828] } },
  });
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      "/tensorflow.serving.PredictionService/Predict",
      () => Buffer.from(toBinary(PredictRequestSchema, request)),
      (bytes: Buffer) => bytes,
      request,
      metadata,
      (error) => {
        client.close();
        resolve(error);
      },
    );
  });
}

test("a request's trace goes on through server, queue and engine, over gRPC and REST, without what tensors hold", async (context) => {
  const { endpoint, bodies, spans } = await collector(context);
  const calls: EndedCall[] = [];
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    batching: { parameters: defaultBatching() },
    rest: { host: "127.0.0.1", port: 0 },
    insecureRest: true,
    tracing: { ratio: 0, exporter: new OtlpExporter(endpoint, "test") },
    onCallEnd: (call) => calls.push(call),
  });
  assert.equal(await predict(server.address.port, `00-${TRACE}-${PARENT}-01`), null);
  assert.equal(await predict(server.address.port, `00-${TRACE}-${PARENT}-00`), null);
  const response = await fetch(`http://127.0.0.1:${server.restAddress?.port}/v1/models/half:predict?secret=1`, {
    method: "POST",
    headers: { traceparent: `00-${TRACE}-${PARENT}-01` },
    body: JSON.stringify({ instances: [271828] }),
  });
  assert.equal(response.status, 200);
  await response.text();
  await server.close();

  const received = spans();
  assert.ok(received.every(({ traceId }) => traceId === TRACE));
  const grpc = received.find(({ name }) => name === "tensorflow.serving.PredictionService/Predict");
  assert.deepEqual([grpc?.parentSpanId, grpc?.kind], [PARENT, 2]);
  const engine = received.find(({ name, parentSpanId }) => name === "engine.run" && parentSpanId === grpc?.spanId);
  assert.ok(engine !== undefined && BigInt(engine.endTimeUnixNano) >= BigInt(engine.startTimeUnixNano));
  assert.ok(received.some(({ name, parentSpanId }) => name === "batch.wait" && parentSpanId === engine.spanId));
  assert.ok(
    received.some(({ name, parentSpanId }) => name === "POST /v1/models/half:predict" && parentSpanId === PARENT),
  );
  // As the gateway's span of the connection names it.
  for (const { attributes } of received.filter(({ kind }) => kind === 2)) {
    const value = (key: string) => attributes.find((each) => each.key === key)?.value;
    assert.equal(value("network.peer.address")?.stringValue, "127.0.0.1");
    assert.ok(Number(value("network.peer.port")?.intValue) > 0);
  }
  // Two traced requests of three spans each; the third request said that it is not sampled.
  assert.equal(received.length, 6);
  for (const body of bodies) assert.doesNotMatch(body, /271828|secret/);

  assert.deepEqual(
    calls.map(({ api, status, path, traceId }) => [api, status, path, traceId]),
    [
      ["grpc", "OK", "/tensorflow.serving.PredictionService/Predict", TRACE],
      ["grpc", "OK", "/tensorflow.serving.PredictionService/Predict", undefined],
      ["rest", 200, "/v1/models/half:predict", TRACE],
    ],
  );
  assert.ok(calls.every(({ requestBytes, responseBytes }) => requestBytes > 0 && responseBytes > 0));
});

test("a collector that is away costs spans, not answers", async () => {
  const exporter = new OtlpExporter("http://127.0.0.1:1", "test");
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    tracing: { ratio: 1, exporter },
  });
  assert.equal(await predict(server.address.port, "nonsense"), null);
  await server.close();
  assert.equal(exporter.dropped, 2);
});

test("only well-formed trace parents are followed", () => {
  assert.deepEqual(parseTraceParent(`00-${TRACE}-${PARENT}-01`), { traceId: TRACE, spanId: PARENT, isSampled: true });
  assert.equal(parseTraceParent(`cc-${TRACE}-${PARENT}-00-more`)?.isSampled, false);
  for (const bad of ["", `ff-${TRACE}-${PARENT}-01`, `00-${"0".repeat(32)}-${PARENT}-01`, `00-${TRACE}-x-01`]) {
    assert.equal(parseTraceParent(bad), undefined);
  }
});
