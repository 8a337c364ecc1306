import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { INTEL_ROOT } from "@cloister/attestation";
import {
  ATTESTED_H2,
  decodeEvidenceResponse,
  encodeEvidenceRequest,
  encodeEvidenceResponse,
} from "@cloister/encoding/connection-evidence";
import { readPrefixedMessage } from "@cloister/encoding/read-message";
import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelServer } from "@cloister/model-server";
import { testCertificates } from "@cloister/model-server/testing";
import { parsePolicy, POLICY_SCHEMA } from "@cloister/policy";
import { type AttestationOptions, createAttestor, createChannel, pinnedPolicy, PredictClient } from "../index.ts";
import { type Passthrough, startPassthrough } from "../testing/passthrough.ts";
import {
  answerFor,
  keyDigest,
  MRENCLAVE,
  type RogueAnswer,
  type RogueReplica,
  startGoodReplica,
  startRogueReplica,
  testPlatform,
} from "../testing/replicas.ts";

// Each attack ends with a code of its own, and the attacker, who wrote down every byte it could decrypt, has seen the challenge
// at most: no byte of HTTP/2, none of the request. The request is large and full of a marker, so it could not hide.

const MARKER = "REQUEST-MARKER-7";
const REQUEST_BYTES = 256 * 1024;
const CHALLENGE_BYTES = encodeEvidenceRequest(new Uint8Array(32)).length;
/** The client's part of a TLS handshake and of its end. */
const MAX_HANDSHAKE_BYTES = 4096;

const certificates = testCertificates();
const platform = testPlatform();
const mrenclave = Buffer.from(MRENCLAVE).toString("hex");
const anchors = [platform.trustAnchor];
const genuine: AttestationOptions = {
  anchors,
  policy: pinnedPolicy(mrenclave, anchors),
  collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
};

let good: ModelServer;

before(async () => {
  good = await startGoodReplica(platform, certificates.server);
});
after(() => good.close());

function markedTensor(): Tensor {
  const bytes = Buffer.alloc(REQUEST_BYTES, MARKER);
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return { dtype: "float", shape: [data.length], data };
}

interface Attack {
  readonly name: string;
  readonly code: string;
  readonly start: () => Promise<RogueReplica>;
  readonly attestation?: Partial<AttestationOptions>;
  /** Bytes that the attacker may decrypt. Default: the challenge. */
  readonly seenBytes?: number;
}

const rogue = (answer: RogueAnswer, tls = certificates.server): Promise<RogueReplica> => startRogueReplica(tls, answer);
const honest: RogueAnswer = (binding) => Promise.resolve(answerFor(platform, binding));

/** The genuine replica's answer on a connection of the attacker's own, to a challenge of its choice. */
async function answerOfGoodReplica(nonce: Uint8Array): Promise<Uint8Array> {
  const socket = connect({
    ...good.address,
    ca: certificates.ca,
    servername: "server.test",
    ALPNProtocols: [ATTESTED_H2],
  });
  await once(socket, "secureConnect");
  socket.write(encodeEvidenceRequest(nonce));
  const message = await readPrefixedMessage(socket, 1 << 20);
  socket.destroy();
  const evidence = decodeEvidenceResponse(message ?? new Uint8Array());
  if (evidence === undefined) throw new Error("the genuine replica answers");
  return encodeEvidenceResponse(evidence);
}

const ATTACKS: readonly Attack[] = [
  {
    name: "a certificate of another authority",
    code: "SERVER_NOT_TRUSTED",
    start: () => rogue(honest, testCertificates().server),
    seenBytes: 0,
  },
  {
    name: "a swapped certificate under the right authority, before an enclave that quotes its own key",
    code: "EVIDENCE_FOR_OTHER_KEY",
    start: async () => {
      const elsewhere = keyDigest(testCertificates().server.cert);
      return rogue((binding) => Promise.resolve(answerFor(platform, { ...binding, publicKeySha256: elsewhere })));
    },
  },
  {
    name: "a rogue replica on a platform of its own",
    code: "PCK_CHAIN_ROOT_NOT_TRUSTED",
    start: () => {
      const own = testPlatform();
      return rogue((binding) => Promise.resolve(answerFor(own, binding)));
    },
  },
  {
    name: "another program in a genuine enclave",
    code: "MEASUREMENT_NOT_ALLOWED",
    start: () =>
      rogue((binding) => Promise.resolve(answerFor(platform, binding, { mrenclave: new Uint8Array(32).fill(0x33) }))),
  },
  {
    name: "the right program as a debug enclave",
    code: "DEBUG_ENCLAVE",
    start: () => rogue((binding) => Promise.resolve(answerFor(platform, binding, { debug: true }))),
  },
  {
    name: "evidence replayed from an earlier connection",
    code: "EVIDENCE_REPLAYED",
    start: async () => {
      const recorded = await answerOfGoodReplica(new Uint8Array(32).fill(5));
      return rogue(() => Promise.resolve(recorded));
    },
  },
  {
    name: "a good replica's evidence relayed for the same challenge, under its own stolen key",
    code: "EVIDENCE_FOR_OTHER_CONNECTION",
    start: () => rogue(({ nonce }) => answerOfGoodReplica(nonce)),
  },
  {
    name: "relayed evidence with this connection's values written over its own",
    code: "EVIDENCE_NOT_BOUND",
    start: () =>
      rogue(async (binding) => {
        const evidence = decodeEvidenceResponse((await answerOfGoodReplica(binding.nonce)).subarray(4));
        return evidence && encodeEvidenceResponse({ ...evidence, ...binding });
      }),
  },
  {
    name: "a downgrade to plain TLS with HTTP/2",
    code: "ATTESTATION_UNSUPPORTED",
    start: () => startRogueReplica(certificates.server, honest, { ALPNProtocols: ["h2"] }),
    seenBytes: 0,
  },
  {
    name: "a downgrade to a TLS version without a safe exporter",
    code: "TLS_VERSION_REFUSED",
    start: () =>
      startRogueReplica(certificates.server, honest, { ALPNProtocols: [ATTESTED_H2], maxVersion: "TLSv1.2" }),
    seenBytes: 0,
  },
  {
    name: "something else in place of evidence",
    code: "EVIDENCE_MISSING",
    start: () => rogue(() => Promise.resolve(Buffer.from("HTTP/1.1 200 OK\r\n\r\n"))),
  },
  {
    name: "no collateral",
    code: "COLLATERAL_UNAVAILABLE",
    start: () => rogue(honest),
    attestation: { collateral: () => Promise.reject(new Error("no route to the service")) },
  },
  {
    name: "stale collateral",
    code: "PCK_CRL_EXPIRED",
    start: () => rogue(honest),
    attestation: {
      collateral: (quote) => {
        const issuedAt = new Date(Date.now() - 40 * 86_400_000);
        const fresh = platform.collateralFor(quote);
        return Promise.resolve({ ...fresh, pckCrl: platform.collateralFor(quote, { issuedAt }).pckCrl });
      },
    },
  },
  {
    name: "simulated evidence against a production policy",
    code: "SIMULATED_NOT_ALLOWED",
    start: () => rogue(honest),
    attestation: {
      policy: parsePolicy({
        schema: POLICY_SCHEMA,
        production: true,
        workloads: [
          {
            name: "digits",
            identities: [{ tee: "sgx", mrenclave }],
            platforms: [{ kind: "intel" }],
            secrets: { keyId: "none" },
          },
        ],
      }),
    },
  },
];

describe("no byte of a request leaves for", () => {
  for (const attack of ATTACKS) {
    test(`${attack.name}: ${attack.code}`, async () => {
      const server = await attack.start();
      const wire = await startPassthrough([server.port]);
      try {
        await assertRefused(attack, server, wire);
      } finally {
        await Promise.all([server.close(), wire.close()]);
      }
    });
  }

  test("any of them with the same code as another", () => {
    assert.equal(new Set(ATTACKS.map(({ code }) => code)).size, ATTACKS.length);
  });
});

async function assertRefused(attack: Attack, server: RogueReplica, wire: Passthrough): Promise<void> {
  const channel = createChannel({
    address: { host: "127.0.0.1", port: wire.port },
    tls: { ca: certificates.ca, serverName: "server.test" },
    attestation: createAttestor({ ...genuine, ...attack.attestation }),
  });
  const client = new PredictClient(channel);
  const call = client.predict(
    { model: "half", inputs: new Map([["x", markedTensor()]]) },
    { retries: 0, deadlineMs: 5000 },
  );
  await assert.rejects(call, { code: attack.code });
  assertNothingSent(attack, server, wire);
  // Nor after the refusal, until the connection is gone.
  while (server.openConnections() > 0) await sleep(10);
  assertNothingSent(attack, server, wire);
  await channel.close();
}

function assertNothingSent(attack: Attack, server: RogueReplica, wire: Passthrough): void {
  const seen = server.decrypted();
  assert.equal(seen.length, attack.seenBytes ?? CHALLENGE_BYTES);
  for (const bytes of [seen, wire.received()]) {
    assert.ok(!bytes.includes(MARKER) && !bytes.includes("PRI * HTTP/2"));
  }
  // Encrypted it would be as long as in the clear.
  assert.ok(wire.received().length < MAX_HANDSHAKE_BYTES);
}

test("the same capture shows the marker where a request is sent to a server that passes", async () => {
  const server = await startRogueReplica(certificates.server, honest);
  const attestation = createAttestor(genuine);
  const tls = { ca: certificates.ca, serverName: "server.test" };
  const channel = createChannel({ address: { host: "127.0.0.1", port: server.port }, tls, attestation });
  const call = new PredictClient(channel).predict(
    { model: "half", inputs: new Map([["x", markedTensor()]]) },
    { retries: 0, deadlineMs: 500 },
  );
  // It passes every check, and then does not speak HTTP/2.
  await assert.rejects(call);
  assert.ok(server.decrypted().includes("PRI * HTTP/2"));
  await Promise.all([server.close(), channel.close()]);
});

/** A connection that resumes the session of one before. */
async function resume(port: number): Promise<TLSSocket> {
  const options = {
    host: "127.0.0.1",
    port,
    ca: certificates.ca,
    servername: "server.test",
    ALPNProtocols: [ATTESTED_H2],
  };
  const first = connect(options);
  const [session] = (await once(first, "session")) as [Buffer];
  const resumed = connect({ ...options, session });
  await once(resumed, "secureConnect");
  assert.equal(resumed.isSessionReused(), true);
  first.destroy();
  return resumed;
}

test("a resumed session is bound anew: by its own exporter value", async () => {
  const server = await startRogueReplica(certificates.server, honest);
  const resumed = await resume(server.port);
  const { publicKeySha256, steps } = await createAttestor(genuine).verify(resumed);
  assert.equal(publicKeySha256, Buffer.from(keyDigest(certificates.server.cert)).toString("hex"));
  assert.match(steps[0] ?? "", /bound anew/);
  resumed.destroy();
  await server.close();
});

const RESUMPTION_ATTACKS: readonly (readonly [string, () => Promise<RogueAnswer>])[] = [
  [
    "EVIDENCE_REPLAYED",
    async () => {
      const recorded = await answerOfGoodReplica(new Uint8Array(32).fill(5));
      return () => Promise.resolve(recorded);
    },
  ],
  ["EVIDENCE_FOR_OTHER_CONNECTION", () => Promise.resolve(({ nonce }) => answerOfGoodReplica(nonce))],
  [
    "EVIDENCE_NOT_BOUND",
    () =>
      Promise.resolve(async (binding) => {
        const evidence = decodeEvidenceResponse((await answerOfGoodReplica(binding.nonce)).subarray(4));
        return evidence && encodeEvidenceResponse({ ...evidence, ...binding });
      }),
  ],
];
for (const [code, answer] of RESUMPTION_ATTACKS) {
  test(`a resumed session gets nothing but the challenge where its evidence is not for it: ${code}`, async () => {
    const server = await startRogueReplica(certificates.server, await answer());
    const resumed = await resume(server.port);
    await assert.rejects(createAttestor(genuine).verify(resumed), { code });
    assert.equal(resumed.destroyed, true);
    while (server.openConnections() > 0) await sleep(10);
    assert.equal(server.decrypted().length, CHALLENGE_BYTES);
    await server.close();
  });
}

test("Intel's root alone does not let a simulated platform through", async () => {
  const attestation = createAttestor({ ...genuine, anchors: [INTEL_ROOT] });
  const tls = { ca: certificates.ca, serverName: "server.test" };
  const channel = createChannel({ address: good.address, tls, attestation });
  await assert.rejects(new PredictClient(channel).status({ model: "half" }, { retries: 0 }), {
    code: "PCK_CHAIN_ROOT_NOT_TRUSTED",
  });
  await channel.close();
});
