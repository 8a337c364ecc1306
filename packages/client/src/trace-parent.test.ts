import assert from "node:assert/strict";
import { test } from "node:test";
import { OtlpExporter, startModelServer } from "@cloister/model-server";
import { elementwiseEngine } from "@cloister/model-server/testing";
import { createChannel, createRestTransport, newTraceParent, PredictClient, RestClient } from "./index.ts";

test("a call's trace goes on at the server, over gRPC and REST", async () => {
  const traced: (string | undefined)[] = [];
  const server = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    rest: { host: "127.0.0.1", port: 0 },
    insecureRest: true,
    tracing: { ratio: 0, exporter: new OtlpExporter("http://127.0.0.1:1", "test") },
    onCallEnd: ({ traceId }) => traced.push(traceId),
  });
  assert.ok(server.restAddress);
  const channel = createChannel({ address: server.address, insecure: true });
  const transport = createRestTransport({ address: server.restAddress, insecure: true });
  const { traceParent, traceId } = newTraceParent();
  for (const client of [new PredictClient(channel), new RestClient(transport)]) {
    await client.status({ model: "half" }, { traceParent });
    await client.status({ model: "half" });
  }
  await Promise.all([channel.close(), transport.close(), server.close()]);
  assert.deepEqual(traced, [traceId, undefined, traceId, undefined]);
});
