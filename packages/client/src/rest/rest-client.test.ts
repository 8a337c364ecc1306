import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import {
  type AttestationOptions,
  createAttestor,
  createChannel,
  createRestTransport,
  createSealedRestTransport,
  pinnedPolicy,
  PredictClient,
  RestClient,
  type RestTransport,
} from "../index.ts";
import { MRENCLAVE, startGoodReplica, testPlatform } from "../testing/replicas.ts";
import { parseServingJson } from "./parse-json.ts";

const certificates = testCertificates();
const platform = testPlatform();
const anchors = [platform.trustAnchor];
const attestation: AttestationOptions = {
  anchors,
  policy: pinnedPolicy(Buffer.from(MRENCLAVE).toString("hex"), anchors),
  collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
};
const rest = { host: "127.0.0.1", port: 0 };
const tls = { ca: certificates.ca, serverName: "server.test" };
let server: ModelServer;
let plaintext: ModelServer;

before(async () => {
  const required = { ...certificates.server, ca: certificates.ca, requireClientCertificate: true };
  server = await startGoodReplica(platform, required, "good", { rest });
  plaintext = await startGoodReplica(platform, certificates.server, "plain", { rest, insecureRest: true });
});
after(() => Promise.all([server.close(), plaintext.close()]));

const address = (of: ModelServer) => of.restAddress ?? rest;

const TRANSPORTS: readonly [string, () => RestTransport][] = [
  ["plaintext", () => createRestTransport({ address: address(plaintext), insecure: true })],
  ["mutual TLS", () => createRestTransport({ address: address(server), tls: { ...tls, ...certificates.client } })],
  [
    "attested mutual TLS",
    () =>
      createRestTransport({
        address: address(server),
        tls: { ...tls, ...certificates.client },
        attestation: createAttestor(attestation),
      }),
  ],
  [
    "a sealed session",
    () => createSealedRestTransport({ url: `http://127.0.0.1:${address(plaintext).port}`, attestation }),
  ],
];

const floats = (...values: number[]): Tensor => ({
  dtype: "float",
  shape: [values.length],
  data: Float32Array.from(values),
});

describe("over", () => {
  for (const [name, open] of TRANSPORTS) {
    test(`${name} all calls of REST are answered`, async () => {
      const transport = open();
      const client = new RestClient(transport);
      const half = { model: "half", inputs: new Map([["x", floats(2, -Infinity, NaN)]]) };
      const { outputs, model, replica } = await client.predict(half);
      assert.equal(model?.name, "half");
      assert.ok(replica !== undefined || name === "a sealed session");
      assert.deepEqual(outputs.get("y"), floats(3, -Infinity, NaN));
      assert.deepEqual([...(await client.predict({ ...half, outputs: ["square"] })).outputs.keys()], ["square"]);
      const sum = {
        signature: "add",
        inputs: new Map([
          ["a", floats(1)],
          ["b", floats(2)],
        ]),
      };
      assert.deepEqual((await client.predict({ model: "half", version: 1, ...sum })).outputs.get("sum"), floats(3));
      assert.equal((await client.status({ model: "half" }))[0]?.version, 1n);
      const { version, signatures } = await client.metadata({ model: "half" });
      assert.equal(version, 1n);
      assert.ok(signatures.has("add"));
      await assert.rejects(client.predict({ ...half, model: "other" }), { code: "NOT_FOUND" });
      await assert.rejects(client.status({ model: "half", version: 9 }), { code: "NOT_FOUND" });
      await transport.close();
    });
  }
});

test("classify and regress say over REST what they say over gRPC", async () => {
  const transport = createRestTransport({ address: address(plaintext), insecure: true });
  const channel = createChannel({ address: plaintext.address, tls });
  const clients = [new RestClient(transport), new PredictClient(channel)];
  const { signatures } = await clients[0]!.metadata({ model: "half" });
  const named = (method: string) =>
    [...signatures].find(([, { methodName }]) => methodName === `tensorflow/serving/${method}`)?.[0] ?? "";
  const examples = [{ x: [1.5] }, { x: [2] }];
  for (const method of ["classify", "regress"] as const) {
    const input = { model: "half", signature: named(method), examples };
    const [overRest, overGrpc] = await Promise.all(clients.map((client) => client[method](input)));
    assert.deepEqual(overRest, overGrpc, method);
    assert.equal(overRest?.length, 2);
  }
  await Promise.all([transport.close(), channel.close()]);
});

test("a REST listener without evidence is refused before a byte of the request: ATTESTATION_UNSUPPORTED", async () => {
  const plain = await startModelServer({
    ...rest,
    tls: certificates.server,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    rest,
  });
  const options = { address: address(plain), tls, attestation: createAttestor(attestation) };
  const transport = createRestTransport(options);
  const status = new RestClient(transport).status({ model: "half" }, { retries: 0 });
  await assert.rejects(status, { code: "ATTESTATION_UNSUPPORTED" });
  await Promise.all([transport.close(), plain.close()]);
});

test("another program is refused over REST with the policy's code", async () => {
  const policy = pinnedPolicy("0".repeat(64), anchors);
  const transport = createRestTransport({
    address: address(server),
    tls: { ...tls, ...certificates.client },
    attestation: createAttestor({ ...attestation, policy }),
  });
  const status = new RestClient(transport).status({ model: "half" }, { retries: 0 });
  await assert.rejects(status, { code: "MEASUREMENT_NOT_ALLOWED" });
  await transport.close();
});

test("numbers of JSON keep every digit, and texts are left alone", () => {
  const bytes = new TextEncoder().encode('{"a":[9223372036854775807,-Infinity,NaN,1],"b":"NaN \\" Infinity"}');
  assert.deepEqual(parseServingJson(bytes), { a: [9223372036854775807n, "-Infinity", "NaN", 1], b: 'NaN " Infinity' });
  assert.throws(() => parseServingJson(Uint8Array.of(0xff)), { code: "INTERNAL" });
  assert.throws(() => parseServingJson(new TextEncoder().encode("{")), { code: "INTERNAL" });
});
