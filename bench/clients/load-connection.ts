import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  CLIENT_PREFACE,
  DEFAULT_WINDOW_BYTES,
  FLAG,
  FRAME_TYPE,
  FrameReader,
  type FrameSink,
  HpackDecoder,
  HpackEncoder,
  pingFrame,
  readUint31,
  SETTING,
  settingsAck,
  settingsFrame,
  windowUpdateFrame,
} from "@cloister/encoding/http2";
import { Output } from "../../packages/model-server/src/rpc/http2/output.ts";

const MIB = 1024 * 1024;
const WINDOW_BYTES = 16 * MIB;

interface Call {
  readonly frame: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  id: number;
  sent: number;
  window: number;
}

/**
 * A client that costs little beside a fast server: node:http2's own reaches about 10,000 calls a second, whatever it talks to. It
 * sends what the server's windows allow and checks the status of each answer; it is for loads, not for use.
 */
export class LoadConnection implements FrameSink {
  readonly #socket: Socket;
  readonly #output: Output;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(WINDOW_BYTES);
  readonly #headers: Readonly<Record<string, string>>;
  readonly #calls = new Map<number, Call>();
  /** Those that are not sent whole yet. */
  readonly #sending = new Set<Call>();
  readonly #ready = Promise.withResolvers<void>();
  #nextId = 1;
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #streamWindow = DEFAULT_WINDOW_BYTES;
  #maxFrameBytes = 16_384;
  #received = 0;

  private constructor(socket: Socket, scheme: string, path: string) {
    this.#socket = socket;
    this.#headers = {
      ":method": "POST",
      ":scheme": scheme,
      ":path": path,
      ":authority": "server.test",
      "content-type": "application/grpc",
      te: "trailers",
    };
    this.#output = new Output(socket, () => undefined);
    const reader = new FrameReader(this, MIB);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  /** With TLS where an authority is given. */
  static async open(port: number, ca: string | undefined, path: string): Promise<LoadConnection> {
    const address = { host: "127.0.0.1", port };
    const socket =
      ca === undefined
        ? connectTcp(address)
        : connectTls({ ...address, ca, servername: "server.test", ALPNProtocols: ["h2"] });
    const connection = new LoadConnection(socket, ca === undefined ? "http" : "https", path);
    connection.#output.add(Buffer.from(CLIENT_PREFACE));
    connection.#output.add(
      settingsFrame([
        [SETTING.initialWindowSize, 4 * MIB],
        [SETTING.maxFrameSize, MIB],
      ]),
    );
    connection.#output.add(windowUpdateFrame(0, WINDOW_BYTES - DEFAULT_WINDOW_BYTES));
    await connection.#ready.promise;
    return connection;
  }

  /** Sends a message with its prefix. Rejects where the answer's status is not OK. */
  call(frame: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const call: Call = { frame, resolve, reject, id: this.#nextId, sent: 0, window: this.#streamWindow };
      this.#nextId += 2;
      this.#calls.set(call.id, call);
      this.#output.frame(FRAME_TYPE.headers, FLAG.endHeaders, call.id, this.#encoder.encode(this.#headers));
      this.#sending.add(call);
      this.#send(call);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** As much as the server's windows allow. */
  #send(call: Call): void {
    const { frame, id } = call;
    while (call.sent < frame.length) {
      const bytes = Math.min(frame.length - call.sent, this.#maxFrameBytes, this.#sendWindow, call.window);
      if (bytes <= 0) return;
      const part = frame.subarray(call.sent, call.sent + bytes);
      call.sent += bytes;
      call.window -= bytes;
      this.#sendWindow -= bytes;
      this.#output.frame(FRAME_TYPE.data, call.sent === frame.length ? FLAG.endStream : 0, id, part);
    }
    this.#sending.delete(call);
  }

  onFrame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    if (type === FRAME_TYPE.headers) this.#onHeaders(flags, streamId, payload);
    else if (type === FRAME_TYPE.windowUpdate) this.#onWindowUpdate(streamId, readUint31(payload, 0));
    else if (type === FRAME_TYPE.settings && (flags & FLAG.ack) === 0) this.#onSettings(payload);
    else if (type === FRAME_TYPE.ping && (flags & FLAG.ack) === 0) this.#output.add(pingFrame(payload, true));
    else if (type === FRAME_TYPE.rstStream || type === FRAME_TYPE.goAway) this.#fail(new Error("the server gave up"));
  }

  #onWindowUpdate(streamId: number, bytes: number): void {
    const call = this.#calls.get(streamId);
    if (streamId === 0) this.#sendWindow += bytes;
    else if (call !== undefined) call.window += bytes;
    for (const waiting of this.#sending) this.#send(waiting);
  }

  #onHeaders(flags: number, streamId: number, payload: Uint8Array): void {
    const { fields } = this.#decoder.decode(payload);
    if ((flags & FLAG.endStream) === 0) return;
    const call = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    const isOk = fields.some(({ name, value }) => name === "grpc-status" && value === "0");
    if (isOk) call?.resolve();
    else call?.reject(new Error("the server answered with an error"));
  }

  #onSettings(payload: Uint8Array): void {
    for (let at = 0; at < payload.length; at += 6) {
      const value = readUint31(payload, at + 2);
      if (payload[at + 1] === SETTING.initialWindowSize) this.#streamWindow = value;
      else if (payload[at + 1] === SETTING.maxFrameSize) this.#maxFrameBytes = value;
    }
    this.#output.add(settingsAck());
    this.#ready.resolve();
  }

  onDataBegin(_streamId: number, length: number): void {
    this.#received += length;
    if (this.#received < WINDOW_BYTES / 2) return;
    this.#output.add(windowUpdateFrame(0, this.#received));
    this.#received = 0;
  }

  onData(): void {}

  onDataEnd(): void {}

  #fail(error: Error): void {
    this.#ready.reject(error);
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
    this.#sending.clear();
  }
}
