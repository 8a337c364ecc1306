import type { Socket } from "node:net";
import {
  CLIENT_PREFACE,
  DEFAULT_WINDOW_BYTES,
  FLAG,
  FRAME_TYPE,
  FrameReader,
  type FrameSink,
  goAwayFrame,
  type HeaderList,
  type HeaderRecord,
  Http2Error,
  type Http2ErrorCode,
  MAX_STREAM_ID,
  MAX_WINDOW_BYTES,
  pingFrame,
  readUint31,
  rstStreamFrame,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from "@cloister/encoding/http2";
import { AbuseGuard } from "./abuse-guard.ts";
import { HeaderReader, type ReceivedHeaders } from "./header-reader.ts";
import { Pings } from "./pings.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { areGoodTrailers, readRequestHeaders } from "./request-headers.ts";
import { Sender } from "./sender.ts";
import { Http2Stream, type StreamConnection } from "./stream.ts";

export interface Http2Limits {
  readonly maxStreamsPerConnection: number;
  readonly maxHeaderBytes: number;
}

export interface ConnectionHandlers {
  /** A request's headers are there. */
  readonly onStream: (stream: Http2Stream, connection: Http2Connection) => void;
  /** Once, when the connection is gone. */
  readonly onClose: (connection: Http2Connection) => void;
}

const MIB = 1024 * 1024;
/** A 602 kB tensor fits without waiting for the peer: 64 KiB windows would cost a round trip for each 64 KiB. */
const STREAM_WINDOW_BYTES = 4 * MIB;
const CONNECTION_WINDOW_BYTES = 16 * MIB;
const FRAME_BYTES = MIB;
/** Control frames for a peer that does not read them. */
const MAX_WAITING_BYTES = MIB;
/** How long a client may take to see that the connection is closing. */
const GOAWAY_MS = 1000;
/** Of a request's content-length. */
const LENGTH = /^\d{1,15}$/;
const PREFACE = Buffer.from(CLIENT_PREFACE, "latin1");

/** The server's side of one HTTP/2 connection: what each frame does to it and to its streams. (RFC 9113) */
export class Http2Connection implements FrameSink, StreamConnection {
  readonly socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #limits: Http2Limits;
  readonly #reader: FrameReader;
  readonly #headers: HeaderReader;
  readonly #sender: Sender;
  readonly #streams = new Map<number, Http2Stream>();
  readonly #window = new ReceiveWindow(CONNECTION_WINDOW_BYTES);
  readonly #guard = new AbuseGuard();
  readonly #pings = new Pings();
  readonly #countListeners: ((running: number) => void)[] = [];
  readonly #closeListeners: (() => void)[] = [];
  #prefaceRead = 0;
  #hasSettings = false;
  #dataStream: Http2Stream | undefined;
  #dataFlags = 0;
  #lastStreamId = 0;
  /** Streams above it are not taken any more. */
  #lastTakenId = MAX_STREAM_ID;
  #isClosing = false;
  #isEnding = false;
  #isClosed = false;
  #goAwayTimer: NodeJS.Timeout | undefined;
  #idleTurns = 0;

  constructor(socket: Socket, limits: Http2Limits, handlers: ConnectionHandlers) {
    this.socket = socket;
    this.#limits = limits;
    this.#handlers = handlers;
    this.#reader = new FrameReader(this, FRAME_BYTES);
    this.#headers = new HeaderReader(limits.maxHeaderBytes);
    const onAnswerEnd = (stream: Http2Stream): void => this.#removeIfDone(stream);
    this.#sender = new Sender(socket, onAnswerEnd, () => {
      this.#idleTurns = 0;
    });
    this.#control(
      settingsFrame([
        [SETTING.maxConcurrentStreams, limits.maxStreamsPerConnection],
        [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
        [SETTING.maxFrameSize, FRAME_BYTES],
        [SETTING.maxHeaderListSize, limits.maxHeaderBytes],
      ]),
    );
    this.#control(windowUpdateFrame(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES));
    socket.on("error", () => undefined);
    socket.on("close", () => this.destroy());
    socket.on("end", () => this.destroy());
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    // It may have been paused by who read from it before.
    socket.resume();
  }

  /** Whether it takes no more calls. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Told how many streams run each time that changes. */
  onStreamCount(listener: (running: number) => void): void {
    this.#countListeners.push(listener);
  }

  onClosed(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  /**
   * Lets running calls end, then closes. A client may have sent calls that it does not know to be too late: they are taken until it
   * has answered a ping. (RFC 9113, section 6.8)
   */
  close(): void {
    if (this.#isClosing || this.#isClosed) return;
    this.#isClosing = true;
    this.#control(goAwayFrame(MAX_STREAM_ID, "NO_ERROR"));
    this.#control(
      pingFrame(
        this.#pings.add(() => this.#endAfterStreams()),
        false,
      ),
    );
    this.#goAwayTimer = setTimeout(() => this.#endAfterStreams(), GOAWAY_MS).unref();
  }

  /** Ends at once, with all its calls. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isClosing = true;
    clearTimeout(this.#goAwayTimer);
    this.socket.destroy();
    for (const stream of this.#streams.values()) this.#remove(stream);
    for (const listener of this.#closeListeners) listener();
    this.#handlers.onClose(this);
  }

  /** Pings the client. False: the connection is closing, and `onAnswer` is never called. */
  ping(onAnswer: () => void): boolean {
    if (this.#isClosing) return false;
    this.#control(pingFrame(this.#pings.add(onAnswer), false));
    return true;
  }

  /** Called in regular turns: cuts off what stood still for `maxTurns` of them. */
  watch(maxTurns: number): void {
    const isStuck = !this.#hasSettings || this.#sender.isFull;
    if (!isStuck) this.#idleTurns = 0;
    else if (++this.#idleTurns >= maxTurns) {
      this.destroy();
      return;
    }
    for (const stream of this.#streams.values()) {
      const waitsForPeer = !stream.isRequestEnded || stream.isSending;
      if (stream.mayStandStill || !waitsForPeer) stream.idleTurns = 0;
      else if (++stream.idleTurns >= maxTurns) this.reset(stream, "CANCEL");
    }
  }

  #read(chunk: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#reader.push(this.#prefaceRead < PREFACE.length ? this.#readPreface(chunk) : chunk);
      if (this.#sender.waitingBytes > MAX_WAITING_BYTES && this.#sender.isFull) this.destroy();
    } catch (error) {
      this.#fail(error);
    }
  }

  #readPreface(chunk: Buffer): Uint8Array {
    const length = Math.min(PREFACE.length - this.#prefaceRead, chunk.length);
    if (PREFACE.compare(chunk, 0, length, this.#prefaceRead, this.#prefaceRead + length) !== 0) {
      throw new Http2Error("PROTOCOL_ERROR", "this is not HTTP/2");
    }
    this.#prefaceRead += length;
    return chunk.subarray(length);
  }

  /** Tells the peer what was wrong, and ends. */
  #fail(error: unknown): void {
    const { code, message } = error instanceof Http2Error ? error : { code: "INTERNAL_ERROR" as const, message: "" };
    this.#control(goAwayFrame(this.#lastStreamId, code, message));
    this.#end();
    this.#destroySoon();
  }

  /** Sends what waits, however slowly the peer reads, and closes. */
  #end(): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#isEnding = true;
    this.#isClosing = true;
    this.#sender.flushAll();
    this.socket.removeAllListeners("data").resume();
    this.socket.end(() => this.#destroySoon());
    for (const stream of this.#streams.values()) this.#remove(stream);
  }

  /** The peer has a moment to close first: what it did not read yet could be lost otherwise. */
  #destroySoon(): void {
    const timer = setTimeout(() => this.destroy(), GOAWAY_MS).unref();
    this.onClosed(() => clearTimeout(timer));
  }

  // FrameSink

  onFrame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    if (!this.#hasSettings && type !== FRAME_TYPE.settings) {
      throw new Http2Error("PROTOCOL_ERROR", "SETTINGS come first");
    }
    if (this.#headers.isWithin && (type !== FRAME_TYPE.continuation || streamId !== this.#headers.streamId)) {
      throw new Http2Error("PROTOCOL_ERROR", "a header block is interrupted");
    }
    switch (type) {
      case FRAME_TYPE.headers:
        return this.#onHeaders(flags, streamId, payload);
      case FRAME_TYPE.continuation:
        return this.#onHeaderList(this.#headers.goOn(flags, payload));
      case FRAME_TYPE.windowUpdate:
        return this.#onWindowUpdate(streamId, payload);
      case FRAME_TYPE.rstStream:
        return this.#onRstStream(streamId, payload);
      case FRAME_TYPE.pushPromise:
        throw new Http2Error("PROTOCOL_ERROR", "clients do not push");
    }
    this.#guard.countIdleFrame();
    if (type === FRAME_TYPE.settings) this.#onSettings(flags, streamId, payload);
    else if (type === FRAME_TYPE.ping) this.#onPing(flags, streamId, payload);
    else if (type === FRAME_TYPE.priority) this.#onPriority(streamId, payload);
    else if (type === FRAME_TYPE.goAway && streamId !== 0) throw wrongStream();
  }

  onDataBegin(streamId: number, length: number, flags: number): void {
    if (!this.#hasSettings || this.#headers.isWithin || streamId === 0) throw wrongStream();
    if (!this.#window.receive(length))
      throw new Http2Error("FLOW_CONTROL_ERROR", "more DATA than the connection's window");
    const stream = this.#streams.get(streamId);
    this.#dataFlags = flags;
    this.#dataStream = stream;
    if (length === 0 && (flags & FLAG.endStream) === 0) this.#guard.countIdleFrame();
    if (stream === undefined) {
      if (streamId > this.#lastStreamId) throw wrongStream();
      if (!this.#guard.hasGivenUp(streamId) && streamId <= this.#lastTakenId) {
        throw new Http2Error("STREAM_CLOSED", "DATA on a closed stream");
      }
    } else if (stream.isRequestEnded) {
      this.#failStream(stream, "STREAM_CLOSED");
    } else {
      stream.idleTurns = 0;
      if (!stream.receiveWindow.receive(length)) this.#failStream(stream, "FLOW_CONTROL_ERROR");
    }
  }

  onData(bytes: Uint8Array): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.isClosed) {
      // Of a call that is over, and whose client did not know yet.
      this.#acknowledge(bytes.length);
      return;
    }
    if (stream.bodyBytesLeft !== undefined) stream.bodyBytesLeft -= bytes.length;
    if (stream.receiver === undefined) this.consumed(stream, bytes.length);
    else stream.receiver.onData(bytes);
  }

  onDataEnd(padding: number): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (padding > 0) {
      if (stream === undefined) this.#acknowledge(padding);
      else this.consumed(stream, padding);
    }
    if (stream !== undefined && !stream.isClosed && (this.#dataFlags & FLAG.endStream) !== 0) this.#endRequest(stream);
  }

  // What the peer sends

  #onHeaders(flags: number, streamId: number, payload: Uint8Array): void {
    if (streamId % 2 === 0) throw wrongStream();
    this.#onHeaderList(this.#headers.begin(flags, streamId, payload));
  }

  #onHeaderList(received: ReceivedHeaders | undefined): void {
    if (received === undefined) return;
    const { streamId, list, isEnd } = received;
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#onTrailers(stream, list, isEnd);
    else if (streamId > this.#lastStreamId) this.#onRequest(streamId, list, isEnd);
    else if (!this.#guard.hasGivenUp(streamId) && streamId <= this.#lastTakenId) {
      const code = streamId === this.#lastStreamId ? "STREAM_CLOSED" : "PROTOCOL_ERROR";
      throw new Http2Error(code, "HEADERS on a closed stream");
    }
  }

  #onRequest(streamId: number, list: HeaderList, isEnd: boolean): void {
    this.#lastStreamId = streamId;
    if (streamId > this.#lastTakenId) return;
    if (this.#streams.size >= this.#limits.maxStreamsPerConnection) {
      this.#guard.countReset();
      this.#sendReset(streamId, "REFUSED_STREAM");
      return;
    }
    const headers = list.isTooLarge ? {} : readRequestHeaders(list.fields);
    const length = headers?.["content-length"];
    if (headers === undefined || (length !== undefined && !LENGTH.test(length))) {
      this.#guard.countReset();
      this.#sendReset(streamId, "PROTOCOL_ERROR");
      return;
    }
    const stream = new Http2Stream(
      this,
      streamId,
      headers,
      this.#sender.initialWindowBytes,
      new ReceiveWindow(STREAM_WINDOW_BYTES),
    );
    if (length !== undefined) stream.bodyBytesLeft = Number(length);
    this.#streams.set(streamId, stream);
    this.#tellCount();
    if (list.isTooLarge) {
      stream.respondOnly({ ":status": 431 });
      stream.reset("NO_ERROR");
      return;
    }
    this.#guard.countCall();
    this.#handlers.onStream(stream, this);
    if (isEnd && !stream.isClosed) this.#endRequest(stream);
  }

  #onTrailers(stream: Http2Stream, list: HeaderList, isEnd: boolean): void {
    if (stream.isRequestEnded) this.#failStream(stream, "STREAM_CLOSED");
    else if (!isEnd || list.isTooLarge || !areGoodTrailers(list.fields)) this.#failStream(stream, "PROTOCOL_ERROR");
    else this.#endRequest(stream);
  }

  #endRequest(stream: Http2Stream): void {
    if (stream.bodyBytesLeft !== undefined && stream.bodyBytesLeft !== 0) {
      this.#failStream(stream, "PROTOCOL_ERROR");
      return;
    }
    stream.isRequestEnded = true;
    stream.idleTurns = 0;
    stream.receiver?.onEnd();
    this.#removeIfDone(stream);
  }

  #onRstStream(streamId: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new Http2Error("FRAME_SIZE_ERROR", "RST_STREAM has four bytes");
    if (streamId === 0 || streamId > this.#lastStreamId) throw wrongStream();
    this.#guard.countReset();
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#remove(stream);
  }

  #onWindowUpdate(streamId: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new Http2Error("FRAME_SIZE_ERROR", "WINDOW_UPDATE has four bytes");
    const bytes = readUint31(payload, 0);
    if (streamId === 0) {
      if (bytes === 0) throw new Http2Error("PROTOCOL_ERROR", "a window grows by nothing");
      this.#sender.widen(bytes);
      return;
    }
    if (streamId > this.#lastStreamId) throw wrongStream();
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    stream.sendWindow += bytes;
    if (bytes === 0) this.#failStream(stream, "PROTOCOL_ERROR");
    else if (stream.sendWindow > MAX_WINDOW_BYTES) this.#failStream(stream, "FLOW_CONTROL_ERROR");
    else this.#sender.pump(stream);
  }

  #onSettings(flags: number, streamId: number, payload: Uint8Array): void {
    if (streamId !== 0) throw wrongStream();
    if ((flags & FLAG.ack) !== 0) {
      if (payload.length > 0) throw new Http2Error("FRAME_SIZE_ERROR", "an acknowledgement of SETTINGS is empty");
      return;
    }
    this.#sender.apply(payload, this.#streams.values());
    this.#hasSettings = true;
  }

  #onPing(flags: number, streamId: number, payload: Uint8Array): void {
    if (streamId !== 0) throw wrongStream();
    if (payload.length !== 8) throw new Http2Error("FRAME_SIZE_ERROR", "PING has eight bytes");
    if ((flags & FLAG.ack) === 0) this.#control(pingFrame(payload, true));
    else this.#pings.answered(payload);
  }

  #onPriority(streamId: number, payload: Uint8Array): void {
    if (streamId === 0) throw wrongStream();
    const stream = this.#streams.get(streamId);
    const code =
      payload.length !== 5
        ? "FRAME_SIZE_ERROR"
        : readUint31(payload, 0) === streamId
          ? ("PROTOCOL_ERROR" as const)
          : undefined;
    if (code === undefined) return;
    if (stream === undefined) this.#sendReset(streamId, code);
    else this.#failStream(stream, code);
  }

  // What streams ask for

  consumed(stream: Http2Stream, bytes: number): void {
    this.#acknowledge(bytes);
    if (stream.isRequestEnded || stream.isClosed) return;
    const told = stream.receiveWindow.take(bytes);
    if (told > 0) this.#control(windowUpdateFrame(stream.id, told));
  }

  sendHeaders(stream: Http2Stream, headers: HeaderRecord, isEnd: boolean): void {
    this.#sender.headers(stream, headers, isEnd);
  }

  pump(stream: Http2Stream): void {
    this.#sender.pump(stream);
  }

  reset(stream: Http2Stream, code: Http2ErrorCode): void {
    this.#sendReset(stream.id, code);
    this.#remove(stream);
  }

  // The rest

  #control(frame: Uint8Array): void {
    if (!this.#isClosed) this.#sender.control(frame);
  }

  /** Lets the peer send more on the connection, half a window at a time. */
  #acknowledge(bytes: number): void {
    const told = this.#window.take(bytes);
    if (told > 0) this.#control(windowUpdateFrame(0, told));
  }

  /** The client did something wrong on one stream. */
  #failStream(stream: Http2Stream, code: Http2ErrorCode): void {
    this.#guard.countReset();
    this.reset(stream, code);
  }

  #sendReset(streamId: number, code: Http2ErrorCode): void {
    this.#control(rstStreamFrame(streamId, code));
    this.#guard.giveUp(streamId);
  }

  #removeIfDone(stream: Http2Stream): void {
    if (stream.isRequestEnded && stream.isAnswerEnded) this.#remove(stream);
  }

  #remove(stream: Http2Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#sender.forget(stream);
    stream.closed();
    this.#tellCount();
    if (this.#streams.size === 0 && this.#lastTakenId < MAX_STREAM_ID) this.#end();
  }

  #tellCount(): void {
    for (const listener of this.#countListeners) listener(this.#streams.size);
  }

  /** The second GOAWAY: later streams are not looked at. */
  #endAfterStreams(): void {
    if (this.#isClosed || this.#lastTakenId < MAX_STREAM_ID) return;
    clearTimeout(this.#goAwayTimer);
    this.#lastTakenId = this.#lastStreamId;
    this.#control(goAwayFrame(this.#lastStreamId, "NO_ERROR"));
    if (this.#streams.size === 0) this.#end();
  }
}

function wrongStream(): Http2Error {
  return new Http2Error("PROTOCOL_ERROR", "a frame is on a stream where it cannot be");
}
