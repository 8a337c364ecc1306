import type { Socket } from "node:net";
import {
  DEFAULT_WINDOW_BYTES,
  FLAG,
  FRAME_TYPE,
  type HeaderRecord,
  HpackEncoder,
  Http2Error,
  MAX_WINDOW_BYTES,
  settingsAck,
} from "@cloister/encoding/http2";
import { Output } from "./output.ts";
import { changedSettings, INITIAL_PEER_SETTINGS, type PeerSettings } from "./peer-settings.ts";
import type { Http2Stream } from "./stream.ts";

/** What a stream may send before others have their turn. */
const TURN_BYTES = 64 * 1024;

/** What one connection sends: header blocks in their order, and bodies as far as the peer's windows and the socket allow. */
export class Sender {
  readonly #output: Output;
  readonly #encoder = new HpackEncoder();
  readonly #onAnswerEnd: (stream: Http2Stream) => void;
  /** Streams whose bodies wait for windows, or for the socket. */
  readonly #waiting = new Set<Http2Stream>();
  #peer: PeerSettings = INITIAL_PEER_SETTINGS;
  #window = DEFAULT_WINDOW_BYTES;
  #isPumping = false;
  #isClosed = false;

  /** `onProgress` is called when the socket has taken what it held back. */
  constructor(socket: Socket, onAnswerEnd: (stream: Http2Stream) => void, onProgress: () => void) {
    this.#onAnswerEnd = onAnswerEnd;
    this.#output = new Output(socket, () => {
      onProgress();
      this.#pumpAll();
    });
  }

  /** Whether the peer reads more slowly than we send. */
  get isFull(): boolean {
    return this.#output.isFull;
  }

  /** What waits for the socket. */
  get waitingBytes(): number {
    return this.#output.waitingBytes;
  }

  /** What the peer allows for each stream at its beginning. */
  get initialWindowBytes(): number {
    return this.#peer.initialWindowBytes;
  }

  /** Sends a frame that no window holds back. */
  control(frame: Uint8Array): void {
    if (!this.#isClosed) this.#output.add(frame);
  }

  /** The socket is gone. */
  close(): void {
    this.#isClosed = true;
  }

  /** Gives the socket all that waits, before it ends. */
  flushAll(): void {
    this.#output.flushAll();
  }

  headers(stream: Http2Stream, headers: HeaderRecord, isEnd: boolean): void {
    const block = this.#encoder.encode(headers);
    const step = this.#peer.maxFrameBytes;
    const end = isEnd ? FLAG.endStream : 0;
    if (block.length <= step) this.#output.frame(FRAME_TYPE.headers, FLAG.endHeaders | end, stream.id, block);
    else this.#longHeaders(stream, block, end, step);
    if (!isEnd) return;
    stream.isAnswerEnded = true;
    this.#onAnswerEnd(stream);
  }

  /** Status texts may be longer than the frames that the peer takes. */
  #longHeaders(stream: Http2Stream, block: Uint8Array, end: number, step: number): void {
    for (let at = 0; at < block.length; at += step) {
      const type = at === 0 ? FRAME_TYPE.headers : FRAME_TYPE.continuation;
      const flags = (at === 0 ? end : 0) | (at + step < block.length ? 0 : FLAG.endHeaders);
      this.#output.frame(type, flags, stream.id, block.subarray(at, at + step));
    }
  }

  /** Sends of a stream's body what the windows, the socket and its turn allow. */
  pump(stream: Http2Stream): void {
    const turnLeft = this.#sendBody(stream);
    if (stream.body.length > 0) {
      this.#waiting.add(stream);
      // Its turn is over, but nothing else holds it up: the others come first.
      if (turnLeft === 0) this.#pumpAll();
      return;
    }
    this.#waiting.delete(stream);
    const { trailers } = stream;
    stream.trailers = undefined;
    if (trailers === undefined) stream.onDrain?.();
    else this.headers(stream, trailers, true);
  }

  /** Gives what is left of the stream's turn. */
  #sendBody(stream: Http2Stream): number {
    let turn = TURN_BYTES;
    for (let part = stream.body[0]; part !== undefined && turn > 0; part = stream.body[0]) {
      const left = part.length - stream.bodySent;
      if (left > 0) {
        const allowed = Math.min(this.#window, stream.sendWindow, this.#peer.maxFrameBytes, turn);
        if (allowed <= 0 || this.#output.isFull) break;
        const bytes = Math.min(left, allowed);
        const from = stream.bodySent;
        this.#output.frame(FRAME_TYPE.data, 0, stream.id, part.subarray(from, from + bytes));
        stream.sent(bytes);
        this.#window -= bytes;
        turn -= bytes;
        if (bytes < left) continue;
      }
      stream.body.shift();
      stream.bodySent = 0;
    }
    return turn;
  }

  /** A stream is gone. */
  forget(stream: Http2Stream): void {
    this.#waiting.delete(stream);
  }

  /** The peer takes more on the connection. Throws FLOW_CONTROL_ERROR. */
  widen(bytes: number): void {
    this.#window += bytes;
    if (this.#window > MAX_WINDOW_BYTES) throw new Http2Error("FLOW_CONTROL_ERROR", "a window is too large");
    this.#pumpAll();
  }

  /** Applies the peer's SETTINGS, which change the windows of `streams` too, and acknowledges them. Throws Http2Error. */
  apply(payload: Uint8Array, streams: Iterable<Http2Stream>): void {
    const before = this.#peer.initialWindowBytes;
    this.#peer = changedSettings(this.#peer, payload);
    const { headerTableBytes, initialWindowBytes } = this.#peer;
    if (headerTableBytes !== undefined) this.#encoder.allowTable(headerTableBytes);
    for (const stream of streams) {
      stream.sendWindow += initialWindowBytes - before;
      if (stream.sendWindow > MAX_WINDOW_BYTES) throw new Http2Error("FLOW_CONTROL_ERROR", "a window is too large");
    }
    // Peers expect the acknowledgement in front of what the change lets through.
    this.control(settingsAck());
    this.#pumpAll();
  }

  /** In turns, until none can send. */
  #pumpAll(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let before: number;
    do {
      before = this.#window;
      for (const stream of this.#waiting) this.pump(stream);
    } while (this.#waiting.size > 0 && this.#window < before && !this.#output.isFull);
    this.#isPumping = false;
  }
}
