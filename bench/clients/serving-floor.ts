import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import {
  FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  FrameReader,
  HpackEncoder,
  settingsAck,
  settingsFrame,
  windowUpdateFrame,
  writeFrameHeader,
} from "@cloister/encoding/http2";
import { countReceived } from "../../packages/model-server/src/garbage.ts";

const MIB = 1024 * 1024;

/**
 * The least that a gRPC server over node:http2 can do: it drops the request's bytes and answers with a message made before. Its
 * windows and frames are those of our server. Gives its port.
 */
export async function startHttp2Floor(tls: { readonly key: string; readonly cert: string }, answer: Uint8Array) {
  const settings = { initialWindowSize: 4 * MIB, maxFrameSize: MIB };
  const server = createSecureServer({ ...tls, ALPNProtocols: ["h2"], maxSessionMemory: 64, settings });
  server.on("session", (session) => session.setLocalWindowSize(16 * MIB));
  server.on("connection", (socket: { setNoDelay(on: boolean): void }) => socket.setNoDelay(true));
  server.on("stream", (stream) => {
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.end(answer);
    });
    stream.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const SETTINGS = Buffer.concat([
  settingsFrame([
    [4, 4 * MIB],
    [5, MIB],
  ]),
  windowUpdateFrame(0, 16 * MIB - 65_535),
]);

/**
 * What node:tls takes at the least: frames are looked at for their ends only, nothing is kept, the answers to what came in one piece
 * are one write, and its garbage is collected as our server does it.
 */
export async function startTlsFloor(tls: { readonly key: string; readonly cert: string }, answer: Uint8Array) {
  const server = createServer({ ...tls, ALPNProtocols: ["h2"] }, (socket) => answerAll(socket, answer));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function answerAll(socket: TLSSocket, answer: Uint8Array): void {
  const encoder = new HpackEncoder();
  let prefaceLeft = 24;
  let ended = 0;
  let flags = 0;
  let waiting: Uint8Array[] = [SETTINGS];
  const frame = (type: number, frameFlags: number, payload: Uint8Array): void => {
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    writeFrameHeader(header, 0, payload.length, type, frameFlags, ended);
    waiting.push(header, payload);
  };
  const reader = new FrameReader(
    {
      onFrame: (type, frameFlags) => {
        if (type === FRAME_TYPE.settings && (frameFlags & FLAG.ack) === 0) waiting.push(settingsAck());
      },
      onDataBegin: (streamId, _length, frameFlags) => {
        ended = streamId;
        flags = frameFlags;
      },
      onData: (bytes) => {
        received += bytes.length;
      },
      onDataEnd: () => {
        if ((flags & FLAG.endStream) === 0) return;
        frame(FRAME_TYPE.headers, FLAG.endHeaders, encoder.encode(HEADERS));
        frame(FRAME_TYPE.data, 0, answer);
        frame(FRAME_TYPE.headers, FLAG.endHeaders | FLAG.endStream, encoder.encode(TRAILERS));
      },
    },
    MIB,
  );
  let received = 0;
  socket.setNoDelay(true).on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    countReceived(chunk.length);
    const preface = Math.min(prefaceLeft, chunk.length);
    prefaceLeft -= preface;
    reader.push(chunk.subarray(preface));
    if (received > 4 * MIB) {
      waiting.push(windowUpdateFrame(0, received));
      received = 0;
    }
    if (waiting.length === 0) return;
    socket.write(Buffer.concat(waiting));
    waiting = [];
  });
}

const HEADERS = { ":status": 200, "content-type": "application/grpc" };
const TRAILERS = { "grpc-status": "0" };
