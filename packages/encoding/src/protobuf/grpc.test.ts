import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { EncodingError } from "../encoding-error.ts";
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  formatGrpcTimeout,
  frameGrpcMessage,
  grpcStatusName,
  parseGrpcTimeout,
} from "./grpc.ts";
import { GrpcMessageAssembler } from "./grpc-message-assembler.ts";

const hasCode = (code: string) => (error: unknown) => error instanceof EncodingError && error.code === code;

test("a status number gives its name, anything else UNKNOWN", () => {
  assert.equal(grpcStatusName("0"), "OK");
  assert.equal(grpcStatusName("14"), "UNAVAILABLE");
  for (const header of [undefined, "", "17", "-1", "1x", "999"]) assert.equal(grpcStatusName(header), "UNKNOWN");
});

test("time-outs are read in every unit", () => {
  const cases = { "1H": 3_600_000, "2M": 120_000, "3S": 3000, "4m": 4, "5000u": 5, "6000000n": 6 };
  for (const [header, ms] of Object.entries(cases)) assert.equal(parseGrpcTimeout(header), ms);
});

test("a malformed time-out is refused", () => {
  for (const header of ["", "1", "S", "123456789S", "-1S", "1s", "1 S"]) {
    assert.throws(() => parseGrpcTimeout(header), hasCode("GRPC_MALFORMED"), header);
  }
});

test("a written time-out is never shorter than asked for, and at most a minute's rounding longer", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 1e10, noNaN: true }), (ms) => {
      const read = parseGrpcTimeout(formatGrpcTimeout(ms));
      assert.ok(read >= ms * (1 - 1e-12) && read <= ms * 1.001 + 1, `${ms} ${read}`);
    }),
  );
});

test("status texts survive the header encoding", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) =>
      assert.equal(decodeGrpcMessage(encodeGrpcMessage(text)), text),
    ),
  );
  assert.equal(encodeGrpcMessage("50% größer\n"), "50%25 gr%C3%B6%C3%9Fer%0A");
  assert.equal(decodeGrpcMessage("100%"), "100%");
});

test("a message that arrives in any pieces is put together", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 9 }), (message, step) => {
      const frame = frameGrpcMessage(message);
      const assembler = new GrpcMessageAssembler(64);
      for (let start = 0; start < frame.length; start += step) assembler.push(frame.subarray(start, start + step));
      assert.deepEqual(assembler.finish(), { compressed: false, bytes: message });
    }),
  );
});

test("a message larger than the first allocation is put together", () => {
  const message = new Uint8Array(9_000_000).map((_, index) => index * 7);
  const frame = frameGrpcMessage(message);
  const assembler = new GrpcMessageAssembler(10_000_000);
  for (let start = 0; start < frame.length; start += 1_000_000)
    assembler.push(frame.subarray(start, start + 1_000_000));
  assert.ok(Buffer.compare(assembler.finish().bytes, message) === 0);
});

test("no message, a cut one, a second one and a bad flag are refused", () => {
  const frame = frameGrpcMessage(Uint8Array.of(1, 2, 3));
  const collect = (...chunks: Uint8Array[]) => {
    const assembler = new GrpcMessageAssembler(100);
    for (const chunk of chunks) assembler.push(chunk);
    return assembler.finish();
  };
  assert.throws(() => collect(), hasCode("GRPC_MALFORMED"));
  assert.throws(() => collect(frame.subarray(0, 4)), hasCode("GRPC_MALFORMED"));
  assert.throws(() => collect(frame.subarray(0, 7)), hasCode("GRPC_MALFORMED"));
  assert.throws(() => collect(frame, frame), hasCode("GRPC_MALFORMED"));
  assert.throws(() => collect(Uint8Array.of(2, 0, 0, 0, 0)), hasCode("GRPC_MALFORMED"));
});

test("a claimed length above the limit is refused before any of its bytes come", () => {
  const assembler = new GrpcMessageAssembler(1000);
  assert.throws(() => assembler.push(Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff)), hasCode("GRPC_MESSAGE_TOO_LARGE"));
});
