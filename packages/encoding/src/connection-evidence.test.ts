import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import {
  connectionReportData,
  decodeEvidenceRequest,
  decodeEvidenceResponse,
  encodeEvidenceRequest,
  encodeEvidenceResponse,
  LENGTH_PREFIX_BYTES,
} from "./connection-evidence.ts";
import { readPrefixedMessage } from "./protobuf/read-message.ts";

const part = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const binding = { nonce: part(1), exporter: part(2), publicKeySha256: part(3) };
const evidence = { ...binding, quote: part(4), collateral: new Uint8Array(), releaseProof: part(2) };

test("report data changes with each part, and its second half is zero", () => {
  const all = [binding, { ...binding, nonce: part(9) }, { ...binding, exporter: part(9) }];
  const more = { ...binding, publicKeySha256: part(9) };
  const digests = [...all, more].map((each) => Buffer.from(connectionReportData(each)).toString("hex"));
  assert.equal(new Set(digests).size, 4);
  for (const digest of digests) assert.equal(digest.slice(64), "0".repeat(64));
});

test("parts that trade bytes with their neighbours are refused", () => {
  const shifted = { ...binding, nonce: new Uint8Array(33), exporter: new Uint8Array(31) };
  assert.throws(() => connectionReportData(shifted), RangeError);
  assert.equal(decodeEvidenceResponse(encodeEvidenceResponse({ ...evidence, ...shifted }).subarray(4)), undefined);
});

test("messages are read back", () => {
  const request = encodeEvidenceRequest(part(7));
  assert.deepEqual(decodeEvidenceRequest(request.subarray(LENGTH_PREFIX_BYTES)), part(7));
  assert.deepEqual(decodeEvidenceResponse(encodeEvidenceResponse(evidence).subarray(LENGTH_PREFIX_BYTES)), evidence);
});

test("a nonce of another length, no quote, and what is no message at all are refused", () => {
  assert.equal(decodeEvidenceRequest(encodeEvidenceRequest(new Uint8Array(31)).subarray(4)), undefined);
  assert.equal(decodeEvidenceRequest(Uint8Array.of(0xff)), undefined);
  const empty = encodeEvidenceResponse({ ...evidence, quote: new Uint8Array() });
  assert.equal(decodeEvidenceResponse(empty.subarray(4)), undefined);
});

test("a message is read in pieces, and what follows it stays in the stream", async () => {
  const stream = new PassThrough();
  const reading = readPrefixedMessage(stream, 100);
  const bytes = Buffer.from([...encodeEvidenceRequest(part(7)), 0xaa, 0xbb]);
  for (const byte of bytes) stream.write(Buffer.of(byte));
  assert.deepEqual(decodeEvidenceRequest((await reading) ?? new Uint8Array()), part(7));
  assert.deepEqual(stream.read(), Buffer.of(0xaa, 0xbb));
});

for (const [name, bytes] of [
  ["too long a message", [0, 0, 1, 0]],
  ["an empty message", [0, 0, 0, 0]],
  ["a cut message", [0, 0, 0, 9, 1]],
  ["a cut length", [0, 0]],
] as const) {
  test(`${name} gives nothing`, async () => {
    const stream = new PassThrough();
    stream.end(Buffer.from(bytes));
    assert.equal(await readPrefixedMessage(stream, 64), undefined);
  });
}
