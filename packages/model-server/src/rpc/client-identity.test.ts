import assert from "node:assert/strict";
import { connect } from "node:tls";
import { test } from "node:test";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import { credentials } from "@grpc/grpc-js";
import { ModelServerError, startModelServer } from "../index.ts";
import { GrpcJsClient } from "../testing/grpc-js-client.ts";
import { elementwiseEngine, testCertificates } from "../testing/index.ts";

const certificates = testCertificates();
const mutual = { ...certificates.server, ca: certificates.ca, requireClientCertificate: true };
const base = {
  host: "127.0.0.1",
  port: 0,
  models: [{ name: "half", version: 1, files: new Map<string, Uint8Array>() }],
  engine: elementwiseEngine(),
};

function health(port: number): Promise<string> {
  const { key, cert } = certificates.client;
  const channel = credentials.createSsl(Buffer.from(certificates.ca), Buffer.from(key), Buffer.from(cert));
  const client = new GrpcJsClient(port, channel);
  return client
    .call("/grpc.health.v1.Health/Check", HealthCheckRequestSchema, HealthCheckResponseSchema, {})
    .then(({ code }) => code)
    .finally(() => client.close());
}

test("only clients whose certificate has an allowed alternative name may call", async () => {
  for (const [allowed, code] of [
    ["DNS:client.test", "OK"],
    ["DNS:client", "PERMISSION_DENIED"],
    ["client.test", "PERMISSION_DENIED"],
  ] as const) {
    const server = await startModelServer({ ...base, tls: mutual, allowedClients: ["DNS:other.test", allowed] });
    assert.equal(await health(server.address.port), code);
    await server.close();
  }
});

test("a list of allowed clients needs verified clients on every way in", async () => {
  const isRefused = (error: unknown) => error instanceof ModelServerError && error.code === "TLS_MATERIAL_INVALID";
  const allowedClients = ["DNS:client.test"];
  await assert.rejects(startModelServer({ ...base, tls: certificates.server, allowedClients }), isRefused);
  const rest = { host: "127.0.0.1", port: 0 };
  const withRest = { ...base, tls: mutual, allowedClients, rest, insecureRest: true };
  await assert.rejects(startModelServer(withRest), isRefused);
});

function fingerprint(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca, servername: "server.test", ALPNProtocols: ["h2"] }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("new TLS material is used for new connections without a restart, and bad material changes nothing", async () => {
  const server = await startModelServer({ ...base, tls: certificates.server });
  const before = await fingerprint(server.address.port, certificates.ca);
  const next = testCertificates();
  server.replaceTls(next.server);
  const after = await fingerprint(server.address.port, next.ca);
  assert.notEqual(after, before);
  assert.throws(() => server.replaceTls({ key: next.server.key, cert: certificates.server.cert }), ModelServerError);
  assert.equal(await fingerprint(server.address.port, next.ca), after);
  await server.close();
});
