import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { concatBytes, toHex } from "../bytes.ts";
import { FLAG, FRAME_HEADER_BYTES, FRAME_TYPE, FrameReader, Http2Error, writeFrameHeader } from "./index.ts";

const MAX_FRAME_BYTES = 16_384;

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
}

function bytesOf({ type, flags, streamId, payload }: Frame): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  writeFrameHeader(header, 0, payload.length, type, flags, streamId);
  return concatBytes(header, payload);
}

/** What a reader tells, with the pieces of each DATA frame put together. */
function read(chunks: Iterable<Uint8Array>): string[] {
  const told: string[] = [];
  let data: Uint8Array = new Uint8Array(0);
  const reader = new FrameReader(
    {
      onFrame: (type, flags, streamId, payload) => told.push(`${type} ${flags} ${streamId} ${toHex(payload)}`),
      onDataBegin: (streamId, length, flags) => {
        told.push(`data ${streamId} ${length} ${flags}`);
        data = new Uint8Array(0);
      },
      onData: (bytes) => {
        assert.ok(bytes.length > 0);
        data = concatBytes(data, bytes);
      },
      onDataEnd: (padding) => told.push(`end ${toHex(data)} ${padding}`),
    },
    MAX_FRAME_BYTES,
  );
  for (const chunk of chunks) reader.push(chunk);
  return told;
}

/** Padding only where it fits: one byte tells its length. */
const frame: fc.Arbitrary<Frame> = fc
  .record({
    type: fc.integer({ min: 0, max: 12 }),
    flags: fc.integer({ min: 0, max: 255 }),
    streamId: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ type, flags, streamId, payload }) => {
    const isTooPadded = type === FRAME_TYPE.data && payload.length <= (payload[0] ?? 0);
    return { type, flags: isTooPadded ? flags & ~FLAG.padded : flags, streamId, payload };
  });

function* cut(bytes: Uint8Array, at: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const to of [...at.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)) {
    yield bytes.subarray(from, to);
    from = to;
  }
}

test("bytes mean the same frames however they are cut", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), fc.array(fc.nat(5000), { maxLength: 20 }), (frames, places) => {
      const bytes = concatBytes(...frames.map(bytesOf));
      const whole = read([bytes]);
      assert.deepEqual(read(cut(bytes, places)), whole);
      assert.deepEqual(read(Array.from(bytes, (byte) => Uint8Array.of(byte))), whole);
      const starts = whole.filter((line) => !line.startsWith("end"));
      assert.equal(starts.length, frames.length);
    }),
  );
});

test("padding is told apart from data, and an empty frame is told too", () => {
  const padded = { type: FRAME_TYPE.data, flags: FLAG.padded, streamId: 1, payload: Uint8Array.of(2, 7, 8, 0, 0) };
  assert.deepEqual(read([bytesOf(padded)]), ["data 1 5 8", "end 0708 3"]);
  const onlyPadding = { ...padded, payload: Uint8Array.of(0) };
  assert.deepEqual(read([bytesOf(onlyPadding)]), ["data 1 1 8", "end  1"]);
  const empty = { type: FRAME_TYPE.data, flags: FLAG.endStream, streamId: 1, payload: new Uint8Array(0) };
  assert.deepEqual(read([bytesOf(empty)]), ["data 1 0 1", "end  0"]);
});

test("a frame longer than was allowed is refused at its header, and padding beyond its frame at its length", () => {
  const refused = (bytes: Uint8Array, code: string): void => {
    assert.throws(
      () => read([bytes]),
      (error) => error instanceof Http2Error && error.code === code,
    );
  };
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  writeFrameHeader(header, 0, MAX_FRAME_BYTES + 1, FRAME_TYPE.headers, 0, 1);
  refused(header, "FRAME_SIZE_ERROR");
  const data = { type: FRAME_TYPE.data, flags: FLAG.padded, streamId: 1 };
  refused(bytesOf({ ...data, payload: Uint8Array.of(5, 1, 1, 1, 1) }), "PROTOCOL_ERROR");
  refused(bytesOf({ ...data, payload: new Uint8Array(0) }), "FRAME_SIZE_ERROR");
});
