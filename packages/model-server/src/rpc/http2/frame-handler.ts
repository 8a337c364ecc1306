import {
  FLAG,
  FRAME_TYPE,
  type FrameSink,
  type HeaderList,
  Http2Error,
  type Http2ErrorCode,
  MAX_WINDOW_BYTES,
  pingFrame,
  readUint31,
} from "@cloister/encoding/http2";
import { AbuseGuard } from "./abuse-guard.ts";
import { HeaderReader, type ReceivedHeaders } from "./header-reader.ts";
import type { Pings } from "./pings.ts";
import { ReceivedData } from "./received-data.ts";
import { areGoodTrailers, readRequestHeaders, type RequestHeaders } from "./request-headers.ts";
import type { Sender } from "./sender.ts";
import type { StreamTable } from "./stream-table.ts";
import type { Http2Stream } from "./stream.ts";

export interface Http2Limits {
  readonly maxStreamsPerConnection: number;
  readonly maxHeaderBytes: number;
}

/** What frames act on. */
export interface FrameHandlerParts {
  readonly streams: StreamTable;
  readonly sender: Sender;
  readonly pings: Pings;
  readonly limits: Http2Limits;
  readonly makeStream: (id: number, headers: RequestHeaders) => Http2Stream;
  /** A request's headers are there. */
  readonly onStream: (stream: Http2Stream) => void;
}

/** Of a request's content-length. */
const LENGTH = /^\d{1,15}$/;

/** What each frame of a client does. Throws Http2Error where the connection cannot go on. (RFC 9113, sections 5 and 6) */
export class FrameHandler implements FrameSink {
  readonly #parts: FrameHandlerParts;
  readonly #streams: StreamTable;
  readonly #sender: Sender;
  readonly #guard = new AbuseGuard();
  readonly #headers: HeaderReader;
  readonly data: ReceivedData;
  #hasSettings = false;

  constructor(parts: FrameHandlerParts) {
    this.#parts = parts;
    this.#streams = parts.streams;
    this.#sender = parts.sender;
    this.#headers = new HeaderReader(parts.limits.maxHeaderBytes);
    this.data = new ReceivedData(parts.streams, parts.sender, this.#guard);
  }

  /** Whether the client has begun: its SETTINGS come first. */
  get hasSettings(): boolean {
    return this.#hasSettings;
  }

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
    const fault = this.data.begin(streamId, length, flags);
    const stream = this.#streams.get(streamId);
    if (fault !== undefined && stream !== undefined) this.#failStream(stream, fault);
  }

  onData(bytes: Uint8Array): void {
    this.data.take(bytes);
  }

  onDataEnd(padding: number): void {
    const ended = this.data.end(padding);
    if (ended !== undefined) this.#endRequest(ended);
  }

  #onHeaders(flags: number, streamId: number, payload: Uint8Array): void {
    if (streamId % 2 === 0) throw wrongStream();
    this.#onHeaderList(this.#headers.begin(flags, streamId, payload));
  }

  #onHeaderList(received: ReceivedHeaders | undefined): void {
    if (received === undefined) return;
    const { streamId, list, isEnd } = received;
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#onTrailers(stream, list, isEnd);
    else if (this.#streams.isIdle(streamId)) this.#onRequest(streamId, list, isEnd);
    else if (!this.#streams.mayBeUnderWay(streamId)) {
      const code = streamId === this.#streams.lastId ? "STREAM_CLOSED" : "PROTOCOL_ERROR";
      throw new Http2Error(code, "HEADERS on a closed stream");
    }
  }

  #onRequest(streamId: number, list: HeaderList, isEnd: boolean): void {
    const { limits, makeStream, onStream } = this.#parts;
    if (!this.#streams.begin(streamId)) return;
    if (this.#streams.size >= limits.maxStreamsPerConnection) return this.#refuse(streamId, "REFUSED_STREAM");
    const headers = list.isTooLarge ? {} : readRequestHeaders(list.fields);
    const length = headers?.["content-length"];
    if (headers === undefined || (length !== undefined && !LENGTH.test(length))) {
      return this.#refuse(streamId, "PROTOCOL_ERROR");
    }
    const stream = makeStream(streamId, headers);
    if (length !== undefined) stream.bodyBytesLeft = Number(length);
    this.#streams.add(stream);
    if (list.isTooLarge) {
      stream.respondOnly({ ":status": 431 });
      stream.reset("NO_ERROR");
      return;
    }
    this.#guard.countCall();
    onStream(stream);
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
    this.#streams.removeIfDone(stream);
  }

  #onRstStream(streamId: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new Http2Error("FRAME_SIZE_ERROR", "RST_STREAM has four bytes");
    if (streamId === 0 || this.#streams.isIdle(streamId)) throw wrongStream();
    this.#guard.countReset();
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#streams.remove(stream);
  }

  #onWindowUpdate(streamId: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new Http2Error("FRAME_SIZE_ERROR", "WINDOW_UPDATE has four bytes");
    const bytes = readUint31(payload, 0);
    if (streamId === 0) {
      if (bytes === 0) throw new Http2Error("PROTOCOL_ERROR", "a window grows by nothing");
      this.#sender.widen(bytes);
      return;
    }
    if (this.#streams.isIdle(streamId)) throw wrongStream();
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
    if ((flags & FLAG.ack) === 0) this.#sender.control(pingFrame(payload, true));
    else this.#parts.pings.answered(payload);
  }

  /** Priorities have no effect; they have to be right all the same. */
  #onPriority(streamId: number, payload: Uint8Array): void {
    if (streamId === 0) throw wrongStream();
    const isWhole = payload.length === 5;
    if (isWhole && readUint31(payload, 0) !== streamId) return;
    const code = isWhole ? "PROTOCOL_ERROR" : "FRAME_SIZE_ERROR";
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#streams.sendReset(streamId, code);
    else this.#failStream(stream, code);
  }

  /** A request that does not become a stream. */
  #refuse(streamId: number, code: Http2ErrorCode): void {
    this.#guard.countReset();
    this.#streams.sendReset(streamId, code);
  }

  /** The client did something wrong on one stream. */
  #failStream(stream: Http2Stream, code: Http2ErrorCode): void {
    this.#guard.countReset();
    this.#streams.reset(stream, code);
  }
}

function wrongStream(): Http2Error {
  return new Http2Error("PROTOCOL_ERROR", "a frame is on a stream where it cannot be");
}
