import { FLAG, Http2Error, windowUpdateFrame } from "@cloister/encoding/http2";
import type { AbuseGuard } from "./abuse-guard.ts";
import { ReceiveWindow } from "./receive-window.ts";
import type { Sender } from "./sender.ts";
import type { StreamTable } from "./stream-table.ts";
import type { Http2Stream } from "./stream.ts";

/** What a peer may send before anybody has taken it. */
export const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/** Hands the bodies of requests to their streams, and lets the peer go on as they are taken. */
export class ReceivedData {
  readonly #streams: StreamTable;
  readonly #sender: Sender;
  readonly #guard: AbuseGuard;
  readonly #window = new ReceiveWindow(CONNECTION_WINDOW_BYTES);
  #stream: Http2Stream | undefined;
  #flags = 0;

  constructor(streams: StreamTable, sender: Sender, guard: AbuseGuard) {
    this.#streams = streams;
    this.#sender = sender;
    this.#guard = guard;
  }

  /** A DATA frame begins. Gives what is wrong with it for its stream alone. Throws Http2Error. */
  begin(streamId: number, length: number, flags: number): "STREAM_CLOSED" | "FLOW_CONTROL_ERROR" | undefined {
    if (!this.#window.receive(length)) {
      throw new Http2Error("FLOW_CONTROL_ERROR", "more DATA than the connection's window");
    }
    const stream = this.#streams.get(streamId);
    this.#flags = flags;
    this.#stream = stream;
    if (length === 0 && (flags & FLAG.endStream) === 0) this.#guard.countIdleFrame();
    if (stream === undefined) {
      if (this.#streams.isIdle(streamId)) throw new Http2Error("PROTOCOL_ERROR", "DATA on a stream that is not there");
      if (!this.#streams.mayBeUnderWay(streamId)) throw new Http2Error("STREAM_CLOSED", "DATA on a closed stream");
      return undefined;
    }
    if (stream.isRequestEnded) return "STREAM_CLOSED";
    stream.idleTurns = 0;
    return stream.receiveWindow.receive(length) ? undefined : "FLOW_CONTROL_ERROR";
  }

  /** Bytes of the frame that began last. */
  take(bytes: Uint8Array): void {
    const stream = this.#stream;
    if (stream === undefined || stream.isClosed) {
      // Of a call that is over, and whose client did not know yet.
      this.#acknowledge(bytes.length);
      return;
    }
    if (stream.bodyBytesLeft !== undefined) stream.bodyBytesLeft -= bytes.length;
    if (stream.receiver === undefined) this.consumed(stream, bytes.length);
    else stream.receiver.onData(bytes);
  }

  /** The frame ends. Gives its stream where the request ends with it. */
  end(padding: number): Http2Stream | undefined {
    const stream = this.#stream;
    this.#stream = undefined;
    if (padding > 0) {
      if (stream === undefined) this.#acknowledge(padding);
      else this.consumed(stream, padding);
    }
    return stream !== undefined && !stream.isClosed && (this.#flags & FLAG.endStream) !== 0 ? stream : undefined;
  }

  /** Bytes need no memory any more. */
  consumed(stream: Http2Stream, bytes: number): void {
    this.#acknowledge(bytes);
    if (stream.isRequestEnded || stream.isClosed) return;
    const told = stream.receiveWindow.take(bytes);
    if (told > 0) this.#sender.control(windowUpdateFrame(stream.id, told));
  }

  /** Lets the peer send more on the connection, half a window at a time. */
  #acknowledge(bytes: number): void {
    const told = this.#window.take(bytes);
    if (told > 0) this.#sender.control(windowUpdateFrame(0, told));
  }
}
