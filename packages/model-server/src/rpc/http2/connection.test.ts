import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import {
  CLIENT_PREFACE,
  FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  FrameReader,
  HpackDecoder,
  HpackEncoder,
  HTTP2_ERROR,
  type HeaderRecord,
  pingFrame,
  readUint31,
  rstStreamFrame,
  settingsFrame,
  SETTING,
  windowUpdateFrame,
  writeFrameHeader,
} from "@cloister/encoding/http2";
import { createHttp2Server, type Http2Server, type Http2ServerOptions } from "./http2-server.ts";
import type { Http2Stream } from "./stream.ts";

const MIB = 1024 * 1024;
const REQUEST = { ":method": "POST", ":scheme": "http", ":path": "/a.b/C", "content-type": "application/grpc" };
const ANSWER = { ":status": 200 };
const TRAILERS = { "grpc-status": "0" };

interface Received {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  readonly headers: Record<string, string>;
}

/** A client that sends what it is told to and keeps what comes. */
class RawClient {
  readonly socket: Socket;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(MIB);
  readonly received: Received[] = [];
  readonly closed: Promise<unknown>;
  #data: Received | undefined;

  constructor(server: Http2Server, settings: readonly (readonly [number, number])[] = []) {
    this.socket = connect((server.listener.address() as AddressInfo).port, "127.0.0.1");
    this.closed = once(this.socket, "close");
    const reader = new FrameReader(
      {
        onFrame: (type, flags, streamId, payload) => {
          const fields = type === FRAME_TYPE.headers ? this.#decoder.decode(payload).fields : [];
          const headers = Object.fromEntries(fields.map(({ name, value }) => [name, value]));
          this.#keep({ type, flags, streamId, payload: Buffer.from(payload), headers });
        },
        onDataBegin: (streamId, _length, flags) => {
          this.#data = { type: FRAME_TYPE.data, flags, streamId, payload: Buffer.alloc(0), headers: {} };
        },
        onData: (bytes) => {
          if (this.#data !== undefined) {
            this.#data = { ...this.#data, payload: Buffer.concat([this.#data.payload, bytes]) };
          }
        },
        onDataEnd: () => {
          if (this.#data !== undefined) this.#keep(this.#data);
        },
      },
      MIB,
    );
    this.socket.on("error", () => undefined).on("data", (chunk: Buffer) => reader.push(chunk));
    this.socket.write(CLIENT_PREFACE);
    this.socket.write(settingsFrame(settings));
  }

  #keep(frame: Received): void {
    this.received.push(frame);
    this.socket.emit("frame");
  }

  frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array(0)): void {
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    writeFrameHeader(header, 0, payload.length, type, flags, streamId);
    this.socket.write(Buffer.concat([header, payload]));
  }

  request(streamId: number, isEnd: boolean, headers: HeaderRecord = REQUEST): void {
    this.frame(
      FRAME_TYPE.headers,
      FLAG.endHeaders | (isEnd ? FLAG.endStream : 0),
      streamId,
      this.#encoder.encode(headers),
    );
  }

  /** The first frame of the kind, which may have come already. */
  async next(isWanted: (frame: Received) => boolean): Promise<Received> {
    for (;;) {
      const found = this.received.find(isWanted);
      if (found !== undefined) return found;
      if (this.socket.destroyed) assert.fail("the connection was closed before the frame came");
      await Promise.race([once(this.socket, "frame"), this.closed]);
    }
  }

  /** The code with which the server ends the connection. */
  async goAwayCode(): Promise<number> {
    const { payload } = await this.next(({ type }) => type === FRAME_TYPE.goAway);
    await this.closed;
    return payload.readUInt32BE(4);
  }
}

const isEnd =
  (streamId: number) =>
  (frame: Received): boolean =>
    frame.streamId === streamId && frame.type === FRAME_TYPE.headers && (frame.flags & FLAG.endStream) !== 0;
const isReset =
  (streamId: number) =>
  (frame: Received): boolean =>
    frame.streamId === streamId && frame.type === FRAME_TYPE.rstStream;

async function serve(
  context: TestContext,
  onStream: (stream: Http2Stream) => void,
  options: Partial<Http2ServerOptions> = {},
): Promise<Http2Server> {
  const server = createHttp2Server({
    tls: undefined,
    maxConnections: 100,
    idleMs: 60_000,
    maxStreamsPerConnection: 10,
    maxHeaderBytes: 16_384,
    onConnection: () => undefined,
    onClose: () => undefined,
    onStream,
    ...options,
  });
  await new Promise<void>((resolve) => {
    server.listener.listen(0, "127.0.0.1", () => resolve());
  });
  context.after(() => server.close(0));
  return server;
}

/** Answers with as many bytes when the request is whole. */
function answering(body: Uint8Array): (stream: Http2Stream) => void {
  return (stream) => {
    stream.receiver = {
      onData: (bytes) => stream.consumed(bytes.length),
      onEnd: () => stream.answer(ANSWER, body, TRAILERS),
      onClose: () => undefined,
    };
  };
}

test("a drain says GOAWAY twice, takes what is under way, lets calls end and closes", async (context) => {
  const streams: Http2Stream[] = [];
  const server = await serve(context, (stream) => streams.push(stream));
  const client = new RawClient(server);
  client.request(1, true);
  await client.next(({ type }) => type === FRAME_TYPE.settings);
  while (streams.length === 0) await new Promise(setImmediate);
  const closing = server.close(60_000);
  const first = await client.next(({ type }) => type === FRAME_TYPE.goAway);
  assert.equal(readUint31(first.payload, 0), 2 ** 31 - 1);
  // The client sent this before it knew.
  client.request(3, true);
  const ping = await client.next(({ type, flags }) => type === FRAME_TYPE.ping && flags === 0);
  client.socket.write(pingFrame(ping.payload, true));
  const second = await client.next(({ type, payload }) => type === FRAME_TYPE.goAway && readUint31(payload, 0) < 100);
  assert.equal(readUint31(second.payload, 0), 3);
  client.request(5, true);
  for (const stream of streams) stream.answer(ANSWER, Buffer.from("done"), TRAILERS);
  for (const id of [1, 3]) assert.equal((await client.next(isEnd(id))).headers["grpc-status"], "0");
  await Promise.all([client.closed, closing]);
  assert.equal(streams.length, 2);
});

test("a drain gives a slow reader the whole of its answer", async (context) => {
  const size = 8 * MIB;
  const server = await serve(context, answering(new Uint8Array(size).fill(7)));
  const client = new RawClient(server, [[SETTING.initialWindowSize, 2 * size]]);
  client.socket.write(windowUpdateFrame(0, 2 * size));
  client.request(1, true);
  await client.next(({ type, streamId }) => type === FRAME_TYPE.headers && streamId === 1);
  const closing = server.close(60_000);
  client.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  client.socket.resume();
  await client.next(isEnd(1));
  const received = client.received.filter(({ type }) => type === FRAME_TYPE.data);
  assert.equal(
    received.reduce((sum, { payload }) => sum + payload.length, 0),
    size,
  );
  await closing;
});

test("an answer waits for the stream's window and the connection's, and streams take turns", async (context) => {
  const server = await serve(context, answering(new Uint8Array(200_000).fill(7)));
  const client = new RawClient(server, [[SETTING.initialWindowSize, 0]]);
  for (const id of [1, 3]) client.request(id, true);
  await client.next(({ type, streamId }) => type === FRAME_TYPE.headers && streamId === 3);
  const bytesOf = (id: number): number =>
    client.received
      .filter(({ type, streamId }) => type === FRAME_TYPE.data && streamId === id)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  assert.equal(bytesOf(1) + bytesOf(3), 0);
  client.socket.write(settingsFrame([[SETTING.initialWindowSize, 100_000]]));
  while (bytesOf(1) + bytesOf(3) < 65_535) await once(client.socket, "frame");
  client.socket.write(windowUpdateFrame(0, 10 * MIB));
  while (bytesOf(1) + bytesOf(3) < 200_000) await once(client.socket, "frame");
  assert.deepEqual([bytesOf(1), bytesOf(3)], [100_000, 100_000]);
  for (const id of [1, 3]) client.socket.write(windowUpdateFrame(id, 100_000));
  for (const id of [1, 3]) await client.next(isEnd(id));
  assert.deepEqual([bytesOf(1), bytesOf(3)], [200_000, 200_000]);
});

test("bytes for a stream that was given up are dropped, and the connection's window comes back", async (context) => {
  const server = await serve(context, (stream) => {
    if (stream.id > 1) answering(Buffer.from("ok"))(stream);
    else {
      stream.respondOnly({ ":status": 200, "grpc-status": "8" });
      stream.reset("NO_ERROR");
    }
  });
  const client = new RawClient(server);
  client.request(1, false);
  const reset = await client.next(isReset(1));
  assert.equal(reset.payload.readUInt32BE(0), HTTP2_ERROR.NO_ERROR);
  for (let round = 0; round < 10; round++) client.frame(FRAME_TYPE.data, 0, 1, new Uint8Array(MIB));
  const update = await client.next(
    ({ type, streamId, payload }) =>
      type === FRAME_TYPE.windowUpdate && streamId === 0 && payload.readUInt32BE() < 9 * MIB,
  );
  assert.ok(update.payload.readUInt32BE() >= 8 * MIB);
  client.request(3, true);
  await client.next(isEnd(3));
});

test("a stream's window grows when half of it is used", async (context) => {
  const server = await serve(context, () => undefined);
  const client = new RawClient(server);
  client.request(1, false);
  await client.next(({ type }) => type === FRAME_TYPE.settings);
  for (let round = 0; round < 3; round++) client.frame(FRAME_TYPE.data, 0, 1, new Uint8Array(MIB));
  const { payload } = await client.next(({ type, streamId }) => type === FRAME_TYPE.windowUpdate && streamId === 1);
  assert.equal(payload.readUInt32BE(), 2 * MIB);
});

test("what a receiver does not take holds the client back to the stream's window", async (context) => {
  const server = await serve(context, (stream) => {
    stream.receiver = { onData: () => undefined, onEnd: () => undefined, onClose: () => undefined };
  });
  const client = new RawClient(server);
  client.request(1, false);
  for (let round = 0; round < 5; round++) client.frame(FRAME_TYPE.data, 0, 1, new Uint8Array(MIB));
  const { payload } = await client.next(isReset(1));
  assert.equal(payload.readUInt32BE(), HTTP2_ERROR.FLOW_CONTROL_ERROR);
});

test("streams that the client makes the server reset are counted like resets of its own (CVE-2025-8671)", async (context) => {
  const server = await serve(context, () => undefined);
  const client = new RawClient(server);
  for (let index = 0; index < 3000; index++) {
    client.request(1 + 2 * index, false);
    client.socket.write(windowUpdateFrame(1 + 2 * index, 0));
  }
  assert.equal(await client.goAwayCode(), HTTP2_ERROR.ENHANCE_YOUR_CALM);
});

test("rapid resets, empty frames, PINGs, PRIORITYs and unknown frames beyond a burst end the connection", async (context) => {
  const server = await serve(context, () => undefined);
  const floods: ((client: RawClient, index: number) => void)[] = [
    (client, index) => {
      client.request(1 + 2 * index, false);
      client.socket.write(rstStreamFrame(1 + 2 * index, "CANCEL"));
    },
    (client, index) => {
      if (index === 0) client.request(1, false);
      client.frame(FRAME_TYPE.data, 0, 1);
    },
    (client) => client.socket.write(pingFrame(new Uint8Array(8), false)),
    (client) => client.frame(FRAME_TYPE.priority, 0, 1, Uint8Array.of(0, 0, 0, 3, 1)),
    (client) => client.frame(0x42, 0, 0),
  ];
  for (const flood of floods) {
    const client = new RawClient(server);
    for (let index = 0; index < 5000; index++) flood(client, index);
    assert.equal(await client.goAwayCode(), HTTP2_ERROR.ENHANCE_YOUR_CALM);
  }
});

test("PINGs beside calls are no flood: some clients send one for each answer", async (context) => {
  const server = await serve(context, answering(Buffer.from("ok")));
  const client = new RawClient(server);
  for (let index = 0; index < 4000; index++) {
    const id = 1 + 2 * index;
    client.request(id, true);
    client.socket.write(pingFrame(new Uint8Array(8), false));
    if (index % 10 === 9) await client.next(isEnd(id));
  }
  assert.ok(client.received.every(({ type }) => type !== FRAME_TYPE.goAway));
});

test("a stream beyond the limit is refused, and there is room again when one ends", async (context) => {
  const streams: Http2Stream[] = [];
  const server = await serve(context, (stream) => streams.push(stream), { maxStreamsPerConnection: 1 });
  const client = new RawClient(server);
  client.request(1, true);
  client.request(3, true);
  const { payload } = await client.next(isReset(3));
  assert.equal(payload.readUInt32BE(0), HTTP2_ERROR.REFUSED_STREAM);
  streams[0]?.answer(ANSWER, Buffer.from("done"), TRAILERS);
  await client.next(isEnd(1));
  client.request(5, true);
  while (streams.length < 2) await new Promise(setImmediate);
});

test("a connection that does not begin with SETTINGS in time is closed", async (context) => {
  const server = await serve(context, () => undefined, { idleMs: 200 });
  const socket = connect((server.listener.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  await once(socket, "close");
});

test("a long status text is sent in CONTINUATION frames", async (context) => {
  const text = "~".repeat(40_000);
  const server = await serve(context, (stream) => stream.respondOnly({ ":status": 200, "grpc-message": text }));
  const client = new RawClient(server);
  client.socket.removeAllListeners("data");
  const parts: Buffer[] = [];
  const types: number[] = [];
  const reader = new FrameReader(
    {
      onFrame: (type, flags, streamId, payload) => {
        if (streamId !== 1) return;
        types.push(type);
        parts.push(Buffer.from(payload));
        if ((flags & FLAG.endHeaders) !== 0) client.socket.emit("whole");
      },
      onDataBegin: () => undefined,
      onData: () => undefined,
      onDataEnd: () => undefined,
    },
    MIB,
  );
  client.socket.on("data", (chunk: Buffer) => reader.push(chunk));
  client.request(1, true);
  await once(client.socket, "whole");
  assert.deepEqual(types, [FRAME_TYPE.headers, FRAME_TYPE.continuation, FRAME_TYPE.continuation]);
  const { fields } = new HpackDecoder(MIB).decode(Buffer.concat(parts));
  assert.equal(fields.find(({ name }) => name === "grpc-message")?.value, text);
});
