import type { Socket } from "node:net";
import {
  CLIENT_PREFACE,
  DEFAULT_WINDOW_BYTES,
  FrameReader,
  goAwayFrame,
  type HeaderRecord,
  Http2Error,
  type Http2ErrorCode,
  MAX_STREAM_ID,
  pingFrame,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from "@cloister/encoding/http2";
import { countReceived } from "../../garbage.ts";
import { FrameHandler, type Http2Limits } from "./frame-handler.ts";
import { Pings } from "./pings.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { CONNECTION_WINDOW_BYTES } from "./received-data.ts";
import { Sender } from "./sender.ts";
import { StreamTable } from "./stream-table.ts";
import { Http2Stream, type StreamConnection } from "./stream.ts";

export interface ConnectionHandlers {
  /** A request's headers are there. */
  readonly onStream: (stream: Http2Stream, connection: Http2Connection) => void;
  /** Once, when the connection is gone. */
  readonly onClose: (connection: Http2Connection) => void;
}

const MIB = 1024 * 1024;
/** A 602 kB tensor fits without waiting for the peer: 64 KiB windows would cost a round trip for each 64 KiB. */
const STREAM_WINDOW_BYTES = 4 * MIB;
const FRAME_BYTES = MIB;
/** Control frames for a peer that does not read them. */
const MAX_WAITING_BYTES = MIB;
/** How long a client may take to see that the connection is closing. */
const GOAWAY_MS = 1000;
const PREFACE = Buffer.from(CLIENT_PREFACE, "latin1");

/** The server's side of one HTTP/2 connection, from its preface to its end. (RFC 9113) */
export class Http2Connection implements StreamConnection {
  readonly socket: Socket;
  readonly #onClose: ConnectionHandlers["onClose"];
  readonly #reader: FrameReader;
  readonly #frames: FrameHandler;
  readonly #sender: Sender;
  readonly #streams: StreamTable;
  readonly #pings = new Pings();
  readonly #closeListeners: (() => void)[] = [];
  #prefaceRead = 0;
  #isClosing = false;
  #isEnding = false;
  #isClosed = false;
  #goAwayTimer: NodeJS.Timeout | undefined;
  #idleTurns = 0;

  constructor(socket: Socket, limits: Http2Limits, { onStream, onClose }: ConnectionHandlers) {
    this.socket = socket;
    this.#onClose = onClose;
    this.#sender = new Sender(
      socket,
      (stream) => this.#streams.removeIfDone(stream),
      () => {
        this.#idleTurns = 0;
      },
    );
    this.#streams = new StreamTable(this.#sender);
    this.#streams.onCount((running) => {
      if (running === 0 && this.#streams.isFinal) this.#end();
    });
    this.#frames = new FrameHandler({
      streams: this.#streams,
      sender: this.#sender,
      pings: this.#pings,
      limits,
      makeStream: (id, headers) =>
        new Http2Stream(this, id, headers, this.#sender.initialWindowBytes, new ReceiveWindow(STREAM_WINDOW_BYTES)),
      onStream: (stream) => onStream(stream, this),
    });
    this.#reader = new FrameReader(this.#frames, FRAME_BYTES);
    this.#sender.control(
      settingsFrame([
        [SETTING.maxConcurrentStreams, limits.maxStreamsPerConnection],
        [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
        [SETTING.maxFrameSize, FRAME_BYTES],
        [SETTING.maxHeaderListSize, limits.maxHeaderBytes],
      ]),
    );
    this.#sender.control(windowUpdateFrame(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES));
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
    this.#streams.onCount(listener);
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
    this.#sender.control(goAwayFrame(MAX_STREAM_ID, "NO_ERROR"));
    const opaque = this.#pings.add(() => this.#endAfterStreams());
    this.#sender.control(pingFrame(opaque, false));
    this.#goAwayTimer = setTimeout(() => this.#endAfterStreams(), GOAWAY_MS).unref();
  }

  /** Ends at once, with all its calls. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isClosing = true;
    clearTimeout(this.#goAwayTimer);
    this.#sender.close();
    this.socket.destroy();
    this.#streams.removeAll();
    for (const listener of this.#closeListeners) listener();
    this.#onClose(this);
  }

  /** Pings the client. False: the connection is closing, and `onAnswer` is never called. */
  ping(onAnswer: () => void): boolean {
    if (this.#isClosing) return false;
    this.#sender.control(pingFrame(this.#pings.add(onAnswer), false));
    return true;
  }

  /** Called in regular turns: cuts off what stood still for `maxTurns` of them. */
  watch(maxTurns: number): void {
    const isStuck = !this.#frames.hasSettings || this.#sender.isFull;
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
    countReceived(chunk.length);
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
    this.#sender.control(goAwayFrame(this.#streams.lastId, code, message));
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
    this.#streams.removeAll();
  }

  /** The peer has a moment to close first: what it did not read yet could be lost otherwise. */
  #destroySoon(): void {
    const timer = setTimeout(() => this.destroy(), GOAWAY_MS).unref();
    this.onClosed(() => clearTimeout(timer));
  }

  /** The second GOAWAY: later streams are not looked at. */
  #endAfterStreams(): void {
    if (this.#isClosed || this.#streams.isFinal) return;
    clearTimeout(this.#goAwayTimer);
    this.#streams.end();
    this.#sender.control(goAwayFrame(this.#streams.lastId, "NO_ERROR"));
    if (this.#streams.size === 0) this.#end();
  }

  // What streams ask for

  consumed(stream: Http2Stream, bytes: number): void {
    this.#frames.data.consumed(stream, bytes);
  }

  sendHeaders(stream: Http2Stream, headers: HeaderRecord, isEnd: boolean): void {
    this.#sender.headers(stream, headers, isEnd);
  }

  pump(stream: Http2Stream): void {
    this.#sender.pump(stream);
  }

  reset(stream: Http2Stream, code: Http2ErrorCode): void {
    this.#streams.reset(stream, code);
  }
}
