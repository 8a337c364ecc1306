import type { Socket } from "node:net";
import type { HeaderRecord, Http2ErrorCode } from "@cloister/encoding/http2";
import type { ReceiveWindow } from "./receive-window.ts";
import type { RequestHeaders } from "./request-headers.ts";

/** Who handles a stream. */
export interface StreamReceiver {
  /** Bytes of the request, to be copied. Whoever takes them calls `stream.consumed`, which lets the client send more. */
  onData(bytes: Uint8Array): void;
  /** The request is whole. */
  onEnd(): void;
  /** Once, when both sides are done or one gave up. No other call follows. */
  onClose(): void;
}

/** What a stream needs of its connection. */
export interface StreamConnection {
  readonly socket: Pick<Socket, "remoteAddress" | "remotePort">;
  consumed(stream: Http2Stream, bytes: number): void;
  sendHeaders(stream: Http2Stream, headers: HeaderRecord, isEnd: boolean): void;
  pump(stream: Http2Stream): void;
  reset(stream: Http2Stream, code: Http2ErrorCode): void;
}

/** One request and its answer. */
export class Http2Stream {
  readonly id: number;
  readonly headers: RequestHeaders;
  receiver: StreamReceiver | undefined;
  /** Called when all that was to be sent is sent. */
  onDrain: (() => void) | undefined;
  /** Whether the client is cut off when it stands still. */
  mayStandStill = false;
  readonly #connection: StreamConnection;
  #isClosed = false;

  // For the connection alone:
  /** Bytes that the peer takes. Negative after it has made its windows smaller. */
  sendWindow: number;
  readonly receiveWindow: ReceiveWindow;
  /** Of the request's `content-length`; `undefined` without one. */
  bodyBytesLeft: number | undefined;
  isRequestEnded = false;
  isAnswerEnded = false;
  readonly body: Uint8Array[] = [];
  /** Of the first of `body`. */
  bodySent = 0;
  /** To be sent behind the body. */
  trailers: HeaderRecord | undefined;
  /** Turns of the watch in which nothing came or went. */
  idleTurns = 0;

  constructor(
    connection: StreamConnection,
    id: number,
    headers: RequestHeaders,
    sendWindow: number,
    receiveWindow: ReceiveWindow,
  ) {
    this.#connection = connection;
    this.id = id;
    this.headers = headers;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** The other end of the connection: the client, or a gateway in front of it. */
  get peer(): { readonly address: string; readonly port: number } {
    const { remoteAddress = "", remotePort = 0 } = this.#connection.socket;
    return { address: remoteAddress, port: remotePort };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether something is to be sent that waits for the peer. */
  get isSending(): boolean {
    return this.body.length > 0 || this.trailers !== undefined;
  }

  /** The answer's headers; more follows. */
  respond(headers: HeaderRecord): void {
    if (!this.#isClosed) this.#connection.sendHeaders(this, headers, false);
  }

  /** An answer without a body. */
  respondOnly(headers: HeaderRecord): void {
    if (!this.#isClosed) this.#connection.sendHeaders(this, headers, true);
  }

  /** A part of the answer's body, which must not be changed any more. */
  send(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.body.push(bytes);
    this.#connection.pump(this);
  }

  /** The answer's end. */
  end(trailers: HeaderRecord): void {
    if (this.#isClosed) return;
    this.trailers = trailers;
    this.#connection.pump(this);
  }

  /** A whole answer. */
  answer(headers: HeaderRecord, body: Uint8Array, trailers: HeaderRecord): void {
    if (this.#isClosed) return;
    this.#connection.sendHeaders(this, headers, false);
    this.body.push(body);
    this.end(trailers);
  }

  /** Lets the client send so many bytes more. */
  consumed(bytes: number): void {
    this.#connection.consumed(this, bytes);
  }

  /** Ends it at once. NO_ERROR behind a whole answer: the rest of the request is not wanted. */
  reset(code: Http2ErrorCode): void {
    if (!this.#isClosed) this.#connection.reset(this, code);
  }

  /** By the connection, when it has sent so many bytes of the first part of the body. */
  sent(bytes: number): void {
    this.bodySent += bytes;
    this.sendWindow -= bytes;
    this.idleTurns = 0;
  }

  /** By the connection, when it has taken the stream out of its list. */
  closed(): void {
    this.#isClosed = true;
    this.receiver?.onClose();
    this.onDrain?.();
  }
}
