import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants, type ClientHttp2Session, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { after, before, test } from "node:test";
import { GRPC_STATUS } from "@cloister/encoding/grpc";
import { writePredictRequest } from "@cloister/encoding/tensor-proto";
import { type ModelServer, startModelServer } from "./index.ts";
import { elementwiseEngine } from "./testing/index.ts";

const PREDICT = "/tensorflow.serving.PredictionService/Predict";
const LIMITS = { maxMessageBytes: 1_000_000, maxBufferedBytes: 3_000_000 };
let server: ModelServer;
/** Cuts off streams that stand still; the other one waits, so that a slow machine does not look like a slow client. */
let impatient: ModelServer;

before(async () => {
  const options = {
    host: "127.0.0.1",
    port: 0,
    insecure: true,
    models: [{ name: "half", version: 1, files: new Map<string, Uint8Array>() }],
    engine: elementwiseEngine(),
  };
  server = await startModelServer({ ...options, limits: LIMITS });
  impatient = await startModelServer({ ...options, limits: { ...LIMITS, idleStreamMs: 500 } });
});

after(() => Promise.all([server, impatient].map((one) => one.close({ graceMs: 0 }))));

interface Answer {
  readonly http: number | undefined;
  readonly status: string | undefined;
  readonly rstCode: number | undefined;
}

function send(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Uint8Array,
  end = true,
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": PREDICT,
      "content-type": "application/grpc",
      ...headers,
    });
    let http: number | undefined;
    let status: string | undefined;
    stream.on("response", (received) => {
      http = received[":status"];
      status = received["grpc-status"]?.toString();
    });
    stream.on("trailers", (trailers: OutgoingHttpHeaders) => {
      status ??= trailers["grpc-status"]?.toString();
    });
    stream.on("error", () => undefined);
    stream.on("close", () => resolve({ http, status, rstCode: stream.rstCode }));
    stream.resume();
    stream.write(body);
    if (end) stream.end();
  });
}

async function exchange(headers: OutgoingHttpHeaders, body: Uint8Array, end = true, of = server): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${of.address.port}`);
  session.on("error", () => undefined);
  const answer = await send(session, headers, body, end);
  session.destroy();
  return answer;
}

const request = writePredictRequest(
  {
    model: { name: "half", signatureName: "" },
    inputs: new Map([["x", { dtype: "float", shape: [], data: Float32Array.of(2) }]]),
  },
  "content",
  5,
);
request[4] = request.length - 5;

const statusNumber = (name: keyof typeof GRPC_STATUS) => String(GRPC_STATUS[name]);

test("a well-formed call written by hand is answered", async () => {
  assert.deepEqual(await exchange({}, request), { http: 200, status: "0", rstCode: 0 });
});

test("no message, a cut message, a second message and a bad flag are INTERNAL", async () => {
  const bodies = [
    new Uint8Array(0),
    request.subarray(0, 3),
    request.subarray(0, 9),
    Buffer.concat([request, request]),
    Uint8Array.of(7, 0, 0, 0, 0),
  ];
  for (const body of bodies) assert.equal((await exchange({}, body)).status, statusNumber("INTERNAL"));
});

test("a message that is no protobuf is INTERNAL", async () => {
  assert.equal((await exchange({}, Uint8Array.of(0, 0, 0, 0, 2, 0xff, 0xff))).status, statusNumber("INTERNAL"));
});

test("a claim of 2 GiB is refused at its first five bytes", async () => {
  const { status } = await exchange({}, Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff), false);
  assert.equal(status, statusNumber("RESOURCE_EXHAUSTED"));
});

test("a decompression bomb is refused", async () => {
  const { gzipSync } = await import("node:zlib");
  const bomb = gzipSync(new Uint8Array(50_000_000));
  const frame = Buffer.concat([Uint8Array.of(1, 0, 0, 0, 0), bomb]);
  frame.writeUInt32BE(bomb.length, 1);
  assert.equal((await exchange({ "grpc-encoding": "gzip" }, frame)).status, statusNumber("RESOURCE_EXHAUSTED"));
});

test("unknown compression, and a bad time-out, are refused", async () => {
  assert.equal((await exchange({ "grpc-encoding": "br" }, request)).status, statusNumber("UNIMPLEMENTED"));
  assert.equal((await exchange({ "grpc-timeout": "soon" }, request)).status, statusNumber("INTERNAL"));
});

test("what is not gRPC gets an HTTP status", async () => {
  assert.equal((await exchange({ "content-type": "application/json" }, request)).http, 415);
  assert.equal((await exchange({ ":method": "PUT" }, request)).http, 405);
});

test("a header list above the limit ends the call, not the server", async () => {
  assert.equal((await exchange({ junk: "x".repeat(20_000) }, request)).http, 431);
  assert.notEqual((await exchange({ junk: "x".repeat(60_000) }, request)).status, "0");
  assert.equal((await exchange({}, request)).status, "0");
});

test("a client that stops sending is cut off after the idle time", async () => {
  const { status, rstCode } = await exchange({}, request.subarray(0, 7), false, impatient);
  assert.equal(status, undefined);
  assert.equal(rstCode, constants.NGHTTP2_CANCEL);
});

test("calls that together hold more than the budget are refused, and the budget comes back", async () => {
  const session = connect(`http://127.0.0.1:${server.address.port}`);
  session.on("error", () => undefined);
  const part = new Uint8Array(900_000);
  part.set(Uint8Array.of(0, 0, 0x0f, 0x42, 0x40));
  const calls = Array.from({ length: 5 }, () => send(session, {}, part, false));
  // Those that fit in wait for the rest of their message; the first that ends is one that did not.
  assert.equal((await Promise.race(calls)).status, statusNumber("RESOURCE_EXHAUSTED"));
  session.destroy();
  await Promise.all(calls);
  assert.equal((await exchange({}, request)).status, "0");
});

test("a peer that resets its streams as fast as it can is cut off, and others are served", async () => {
  const session = connect(`http://127.0.0.1:${server.address.port}`);
  session.on("error", () => undefined);
  for (let round = 0; round < 40 && !session.destroyed; round++) {
    for (let index = 0; index < 100 && !session.closed && !session.destroyed; index++) {
      const stream = session.request({ ":method": "POST", ":path": PREDICT, "content-type": "application/grpc" });
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // The loop may end before what the server sent was read.
  if (!session.destroyed) await once(session, "close");
  assert.equal((await exchange({}, request)).status, "0");
});

test("bytes that are not HTTP/2 end only their own connection", async () => {
  const socket = connectTcp(server.address.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  const closed = new Promise((resolve) => {
    socket.on("close", resolve);
  });
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10));
  await closed;
  assert.equal((await exchange({}, request)).status, "0");
});

/** A frame of HTTP/2: length, type, flags, stream, payload. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, new Uint8Array(0))]);

test("headers that never end (CONTINUATION flood) end the connection, not the server", async () => {
  const socket = connectTcp(server.address.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  socket.write(PREFACE);
  // Literal headers without indexing, each with a name of its own.
  const header = Buffer.concat([Buffer.from([0, 6]), Buffer.from("x-long"), Buffer.from([100]), Buffer.alloc(100, 97)]);
  const block = Buffer.concat(Array<Buffer>(100).fill(header));
  socket.write(frame(1, 0, 1, block));
  for (let round = 0; round < 200 && !socket.destroyed; round++) {
    socket.write(frame(9, 0, 1, block));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (!socket.destroyed) await once(socket, "close");
  assert.equal((await exchange({}, request)).status, "0");
});

test("a client that reads nothing is cut off, and what it held comes back", async () => {
  const heldBefore = impatient.metrics.heldBytes.total;
  const session = connect(`http://127.0.0.1:${impatient.address.port}`, { settings: { initialWindowSize: 0 } });
  session.on("error", () => undefined);
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(session, {}, request)));
  assert.ok(answers.every(({ rstCode }) => rstCode === constants.NGHTTP2_CANCEL));
  session.destroy();
  assert.equal(impatient.metrics.heldBytes.total, heldBefore);
});

test("a thousand idle connections do not keep others from being served", async () => {
  const sockets = Array.from({ length: 1000 }, () => connectTcp(server.address.port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => undefined).write(PREFACE);
  assert.equal((await exchange({}, request)).status, "0");
  for (const socket of sockets) socket.destroy();
});

test("connections that are open on one side only do not keep others from being served", async () => {
  const sockets = Array.from({ length: 200 }, () =>
    connectTcp({ port: server.address.port, host: "127.0.0.1", allowHalfOpen: true }),
  );
  for (const socket of sockets) {
    socket.on("error", () => undefined);
    socket.write(PREFACE);
    socket.end(frame(1, 4, 1, Uint8Array.of(0x83)));
  }
  assert.equal((await exchange({}, request)).status, "0");
  for (const socket of sockets) socket.destroy();
});

test("floods of PING and SETTINGS end the connection or are answered, and others are served", async () => {
  for (const [type, payload] of [
    [6, Buffer.alloc(8)],
    [4, Buffer.alloc(0)],
  ] as const) {
    const socket = connectTcp(server.address.port, "127.0.0.1");
    socket.on("error", () => undefined);
    // Never read: what the server answers piles up on its side, if it lets it.
    socket.pause();
    socket.write(PREFACE);
    const flood = Buffer.concat(Array<Buffer>(1000).fill(frame(type, 0, 0, payload)));
    for (let round = 0; round < 30 && !socket.destroyed; round++) {
      socket.write(flood);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal((await exchange({}, request)).status, "0");
    socket.destroy();
  }
});
