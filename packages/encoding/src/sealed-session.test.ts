import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, constantFrom, property, record, string, uint8Array } from "fast-check";
import { toHex } from "./bytes.ts";
import { decodeSealedAnswer, decodeSealedRequest, encodeSealedAnswer, encodeSealedRequest } from "./sealed-messages.ts";
import { generateSessionKey, readRecordHeader, SealedSession } from "./sealed-records.ts";
import {
  decodeSessionRequest,
  decodeSessionResponse,
  encodeSessionRequest,
  encodeSessionResponse,
  type SessionBinding,
  sessionReportData,
} from "./sealed-session.ts";

const secret = new TextEncoder().encode("one request");

async function bothSides(
  changes: Partial<SessionBinding> = {},
): Promise<{ client: SealedSession; server: SealedSession }> {
  const [clientPair, serverPair] = await Promise.all([generateSessionKey(), generateSessionKey()]);
  const binding = {
    nonce: new Uint8Array(32).fill(1),
    clientKey: clientPair.publicKey,
    sessionKey: serverPair.publicKey,
    publicKeySha256: new Uint8Array(32),
  };
  return {
    client: await SealedSession.create(clientPair.privateKey, serverPair.publicKey, { ...binding, ...changes }),
    server: await SealedSession.create(serverPair.privateKey, clientPair.publicKey, binding),
  };
}

test("each side opens what the other sealed, under the number and in the direction it was sealed for", async () => {
  const { client, server } = await bothSides();
  assert.deepEqual(client.id, server.id);
  const sealed = await client.seal("request", 7, secret);
  assert.deepEqual(readRecordHeader(sealed), { id: client.id, counter: 7 });
  assert.ok(!toHex(sealed).includes(toHex(secret)));
  assert.deepEqual(await server.open("request", 7, sealed), secret);
  assert.equal(await server.open("request", 8, sealed), undefined);
  assert.equal(await client.open("response", 7, sealed), undefined);
  const changed = sealed.slice();
  changed[changed.length - 1]! ^= 1;
  assert.equal(await server.open("request", 7, changed), undefined);
});

test("sides that saw another nonce, key or certificate share nothing", async () => {
  for (const changes of [
    { nonce: new Uint8Array(32).fill(2) },
    { publicKeySha256: new Uint8Array(32).fill(2) },
    { clientKey: (await generateSessionKey()).publicKey },
  ]) {
    const { client, server } = await bothSides(changes);
    assert.notDeepEqual(client.id, server.id);
    assert.equal(await server.open("request", 0, await client.seal("request", 0, secret)), undefined);
  }
});

test("a point that is not on the curve is refused", async () => {
  const { privateKey, publicKey } = await generateSessionKey();
  const off = publicKey.slice();
  off[64]! ^= 1;
  const binding = {
    nonce: new Uint8Array(32),
    clientKey: off,
    sessionKey: publicKey,
    publicKeySha256: new Uint8Array(32),
  };
  await assert.rejects(SealedSession.create(privateKey, off, binding));
});

test("report data names all parts of a session, and no other", () => {
  const binding = {
    nonce: new Uint8Array(32),
    clientKey: new Uint8Array(65),
    sessionKey: new Uint8Array(65),
    publicKeySha256: new Uint8Array(32),
  };
  const all = Object.entries(binding).map(([name, bytes]) =>
    toHex(sessionReportData({ ...binding, [name]: bytes.fill(1) })),
  );
  assert.equal(new Set(all).size, 4);
  assert.match(all[0]!, /^[0-9a-f]{64}0{64}$/);
  assert.throws(() => sessionReportData({ ...binding, nonce: new Uint8Array(31) }), RangeError);
});

test("messages are read as they were written, and nothing else is read", () => {
  const bytes = uint8Array({ maxLength: 200 });
  check(
    property(record({ kind: constantFrom("grpc", "GET", "POST"), path: string(), body: bytes }), (request) => {
      const encoded = encodeSealedRequest(request);
      assert.deepEqual(decodeSealedRequest(encoded), { ...request });
      assert.deepEqual(decodeSealedAnswer(encodeSealedAnswer({ status: 9, text: request.path, body: request.body })), {
        status: 9,
        text: request.path,
        body: request.body,
      });
    }),
  );
  check(
    property(bytes, (input) => {
      for (const decode of [decodeSealedRequest, decodeSealedAnswer, decodeSessionRequest, decodeSessionResponse])
        decode(input);
      readRecordHeader(input);
    }),
  );
  for (const input of [
    new Uint8Array(2),
    Uint8Array.of(3, 0, 0),
    Uint8Array.of(0, 0, 9, 65),
    Uint8Array.of(0, 0, 1, 255),
  ])
    assert.equal(decodeSealedRequest(input), undefined);
  assert.equal(decodeSealedAnswer(Uint8Array.of(0, 0, 0, 9, 65)), undefined);
  assert.equal(readRecordHeader(new Uint8Array(24).fill(255)), undefined);
});

test("the exchange of keys is read as it was written, and parts of another length are refused", () => {
  const request = { nonce: new Uint8Array(32).fill(1), clientKey: new Uint8Array(65).fill(2) };
  assert.deepEqual(decodeSessionRequest(encodeSessionRequest(request)), request);
  assert.equal(decodeSessionRequest(encodeSessionRequest({ ...request, nonce: new Uint8Array(31) })), undefined);
  const response = {
    quote: Uint8Array.of(1),
    nonce: request.nonce,
    sessionKey: request.clientKey,
    publicKeySha256: new Uint8Array(32),
    collateral: new Uint8Array(),
    releaseProof: Uint8Array.of(5),
  };
  assert.deepEqual(decodeSessionResponse(encodeSessionResponse(response)), response);
  assert.equal(decodeSessionResponse(encodeSessionResponse({ ...response, quote: new Uint8Array() })), undefined);
});
