import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { generateSessionKey } from "@cloister/encoding/sealed-records";
import {
  decodeSessionRequest,
  decodeSessionResponse,
  encodeSessionResponse,
  SEALED_PATH,
  SESSION_PATH,
  sessionReportData,
} from "@cloister/encoding/sealed-session";
import type { Tensor } from "@cloister/encoding/tensor";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import {
  type AttestationOptions,
  createSealedChannel,
  pinnedPolicy,
  PredictClient,
  type VerifiedReplica,
} from "../index.ts";
import { startHttpRelay, type Tamper } from "../testing/http-relay.ts";
import { keyDigest, MRENCLAVE, quoteOn, startGoodReplica, testPlatform } from "../testing/replicas.ts";

// Sealed sessions with a relay in between that sees all of HTTP, as whoever ends the TLS connection would.

const MARKER = "REQUEST-MARKER-9";
const certificates = testCertificates();
const platform = testPlatform();
const anchors = [platform.trustAnchor];
const genuine: AttestationOptions = {
  anchors,
  policy: pinnedPolicy(Buffer.from(MRENCLAVE).toString("hex"), anchors),
  collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
};
const rest = { host: "127.0.0.1", port: 0 };
let good: ModelServer;
let port = 0;

before(async () => {
  good = await startGoodReplica(platform, certificates.server, "good", { rest, insecureRest: true });
  port = good.restAddress?.port ?? 0;
});
after(() => good.close());

function markedTensor(): Tensor {
  const bytes = Buffer.alloc(64 * 1024, MARKER);
  return { dtype: "float", shape: [bytes.length / 4], data: new Float32Array(new Uint8Array(bytes).buffer) };
}

const marked = { model: "half", inputs: new Map([["x", markedTensor()]]) };
const small = {
  model: "half",
  inputs: new Map<string, Tensor>([["x", { dtype: "float", shape: [2], data: Float32Array.of(2, 4) }]]),
};

async function withClient<T>(
  url: string,
  use: (client: PredictClient) => Promise<T>,
  changes: Partial<AttestationOptions> = {},
): Promise<T> {
  const channel = createSealedChannel({ url, attestation: { ...genuine, ...changes } });
  try {
    return await use(new PredictClient(channel));
  } finally {
    await channel.close();
  }
}

test("all calls are answered in one session, and the relay sees none of it", async () => {
  const relay = await startHttpRelay(port);
  const verified: VerifiedReplica[] = [];
  await withClient(
    relay.url,
    async (client) => {
      const { outputs, replica } = await client.predict(small);
      assert.deepEqual(outputs.get("y")?.data, Float32Array.of(3, 4));
      assert.equal(replica, "good");
      await client.predict(marked);
      assert.equal((await client.status({ model: "half" }))[0]?.version, 1n);
      assert.ok((await client.metadata({ model: "half" })).signatures.has("serving_default"));
      const example = { model: "half", examples: [{ x: [2] }] };
      await assert.rejects(client.classify({ ...example, signature: "none" }), { code: "INVALID_ARGUMENT" });
      await assert.rejects(client.predict({ ...small, model: "other" }), { code: "NOT_FOUND" });
    },
    { onVerified: (replica) => verified.push(replica) },
  );
  assert.equal(verified.length, 1);
  assert.equal(verified[0]?.publicKeySha256, "0".repeat(64));
  assert.equal(relay.requests.filter(({ path }) => path === SESSION_PATH).length, 1);
  assert.equal(relay.requests.filter(({ path }) => path === SEALED_PATH).length, 6);
  const seen = [...relay.requests.map(({ body }) => body), ...relay.answers];
  assert.ok(seen.every((bytes) => !bytes.includes(MARKER) && !bytes.includes("serving_default")));
  await relay.close();
});

test("calls at the same time share a session", async () => {
  const relay = await startHttpRelay(port);
  await withClient(relay.url, (client) => Promise.all(Array.from({ length: 20 }, () => client.predict(small))));
  await relay.close();
});

test("a replica that forgot the session is asked for another one", async () => {
  const first = await startGoodReplica(platform, certificates.server, "first", { rest, insecureRest: true });
  let upstream = first.restAddress?.port ?? 0;
  const channel = createSealedChannel({
    url: "http://replica.test",
    attestation: genuine,
    fetch: (url, init) => fetch(new URL((url as URL).pathname, `http://127.0.0.1:${upstream}`), init),
  });
  const client = new PredictClient(channel);
  assert.equal((await client.predict(small)).replica, "first");
  upstream = port;
  assert.equal((await client.predict(small)).replica, "good");
  await Promise.all([channel.close(), first.close()]);
});

interface Attack {
  readonly name: string;
  readonly code: string;
  readonly tamper?: Tamper;
  readonly attestation?: Partial<AttestationOptions>;
}

const onSession =
  (change: (answer: Buffer, request: Buffer) => Promise<Uint8Array> | Uint8Array): Tamper =>
  async (path, answer, request) =>
    path === SESSION_PATH ? Buffer.from(await change(answer, request)) : answer;

const ATTACKS: readonly Attack[] = [
  {
    name: "the relay's own key in the place of the enclave's",
    code: "EVIDENCE_NOT_BOUND",
    tamper: onSession(async (answer) => {
      const evidence = decodeSessionResponse(answer)!;
      return encodeSessionResponse({ ...evidence, sessionKey: (await generateSessionKey()).publicKey });
    }),
  },
  {
    name: "another serving key than the one that was quoted",
    code: "EVIDENCE_NOT_BOUND",
    tamper: onSession((answer) =>
      encodeSessionResponse({
        ...decodeSessionResponse(answer)!,
        publicKeySha256: keyDigest(certificates.server.cert),
      }),
    ),
  },
  {
    name: "evidence of an earlier session",
    code: "EVIDENCE_REPLAYED",
    tamper: onSession((answer) =>
      encodeSessionResponse({ ...decodeSessionResponse(answer)!, nonce: new Uint8Array(32).fill(3) }),
    ),
  },
  {
    name: "a relay that quotes its own program's key",
    code: "MEASUREMENT_NOT_ALLOWED",
    tamper: onSession(async (answer, request) => {
      const own = await generateSessionKey();
      const evidence = { ...decodeSessionResponse(answer)!, sessionKey: own.publicKey };
      const binding = { ...decodeSessionRequest(request)!, ...evidence };
      const changes = { mrenclave: new Uint8Array(32).fill(0x33) };
      return encodeSessionResponse({ ...evidence, quote: quoteOn(platform, sessionReportData(binding), changes) });
    }),
  },
  {
    name: "a platform of its own",
    code: "PCK_CHAIN_ROOT_NOT_TRUSTED",
    tamper: onSession((answer, request) => {
      const evidence = decodeSessionResponse(answer)!;
      const binding = { ...decodeSessionRequest(request)!, ...evidence };
      return encodeSessionResponse({ ...evidence, quote: quoteOn(testPlatform(), sessionReportData(binding)) });
    }),
  },
  {
    name: "something else in place of evidence",
    code: "EVIDENCE_MISSING",
    tamper: onSession(() => Buffer.from("<html>")),
  },
  {
    name: "no collateral",
    code: "COLLATERAL_UNAVAILABLE",
    attestation: { collateral: () => Promise.reject(new Error("no route")) },
  },
];

describe("no byte of a request leaves for", () => {
  for (const { name, code, tamper, attestation } of ATTACKS) {
    test(`${name}: ${code}`, async () => {
      const relay = await startHttpRelay(port, tamper);
      const call = withClient(relay.url, (client) => client.predict(marked, { retries: 0 }), attestation);
      await assert.rejects(call, { code });
      assert.deepEqual(
        relay.requests.map(({ path }) => path),
        [SESSION_PATH],
      );
      assert.ok(!relay.requests[0]!.body.includes(MARKER));
      await relay.close();
    });
  }
});

test("a server without evidence is refused: ATTESTATION_UNSUPPORTED", async () => {
  const plain = await startModelServer({
    ...rest,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    rest,
    insecureRest: true,
  });
  const relay = await startHttpRelay(plain.restAddress?.port ?? 0);
  const call = withClient(relay.url, (client) => client.predict(marked, { retries: 0 }));
  await assert.rejects(call, { code: "ATTESTATION_UNSUPPORTED" });
  assert.equal(relay.requests.length, 1);
  await Promise.all([relay.close(), plain.close()]);
});

test("an answer with one bit changed is not used: ANSWER_NOT_SEALED", async () => {
  const relay = await startHttpRelay(port, (path, answer) => (path === SEALED_PATH ? flipped(answer) : answer));
  await withClient(relay.url, (client) => assert.rejects(client.predict(small), { code: "ANSWER_NOT_SEALED" }));
  await relay.close();
});

test("the answer of another request is not used: ANSWER_NOT_SEALED", async () => {
  let first: Buffer | undefined;
  const relay = await startHttpRelay(port, (path, answer) => (path === SEALED_PATH ? (first ??= answer) : answer));
  await withClient(relay.url, async (client) => {
    await client.predict(small);
    await assert.rejects(client.predict(small), { code: "ANSWER_NOT_SEALED" });
  });
  await relay.close();
});

function flipped(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[changed.length - 1]! ^= 1;
  return changed;
}

test("a record that is sent again is answered with a refusal", async () => {
  const relay = await startHttpRelay(port);
  await withClient(relay.url, (client) => client.predict(small));
  const { body } = relay.requests.find(({ path }) => path === SEALED_PATH)!;
  for (const record of [body, flipped(body)]) {
    const again = await fetch(`http://127.0.0.1:${port}${SEALED_PATH}`, { method: "POST", body: record });
    assert.equal(again.status, 400);
  }
  const unknown = await fetch(`http://127.0.0.1:${port}${SEALED_PATH}`, { method: "POST", body: new Uint8Array(40) });
  assert.equal(unknown.status, 409);
  await relay.close();
});
