import { FLAG, FRAME_HEADER_BYTES, FRAME_TYPE, Http2Error, readUint31 } from "./protocol.ts";

/** Of a frame that is not DATA. What a peer needs is far below; larger ones are not collected. */
const MAX_COLLECTED_BYTES = 64 * 1024;

/** What a reader tells as it reads. Views of bytes are valid during the call only. */
export interface FrameSink {
  /** A whole frame that is not DATA. The payload of an unknown type is left out. */
  onFrame(type: number, flags: number, streamId: number, payload: Uint8Array): void;
  /** A DATA frame begins. `length` counts padding too, as flow control does. */
  onDataBegin(streamId: number, length: number, flags: number): void;
  /** Bytes of the DATA frame that began last, without its padding. */
  onData(bytes: Uint8Array): void;
  /** `padding`: what of its length was not handed on. */
  onDataEnd(padding: number): void;
}

const NOTHING = new Uint8Array(0);

/**
 * Cuts a connection's bytes into frames, however they arrive. DATA is handed on piece by piece and never collected. Throws
 * Http2Error where a frame is longer than was allowed, or padded beyond its end; it cannot be used any more then.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of the payload, in front of its padding, that are still to come. */
  #left = 0;
  #paddingLeft = 0;
  /** Of the whole frame, with the byte that tells it. */
  #padding = 0;
  #awaitsPadLength = false;
  #collected: Uint8Array = NOTHING;
  #collectedFilled = 0;

  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerFilled < FRAME_HEADER_BYTES) at = this.#readHeader(chunk, at);
      else if (this.#type === FRAME_TYPE.data) at = this.#readData(chunk, at);
      else at = this.#readPayload(chunk, at);
    }
  }

  #readHeader(chunk: Uint8Array, at: number): number {
    if (this.#headerFilled === 0 && chunk.length - at >= FRAME_HEADER_BYTES) {
      this.#begin(chunk, at);
      return at + FRAME_HEADER_BYTES;
    }
    const part = chunk.subarray(at, at + FRAME_HEADER_BYTES - this.#headerFilled);
    this.#header.set(part, this.#headerFilled);
    this.#headerFilled += part.length;
    if (this.#headerFilled === FRAME_HEADER_BYTES) this.#begin(this.#header, 0);
    return at + part.length;
  }

  #begin(header: Uint8Array, at: number): void {
    const length = ((header[at] ?? 0) << 16) | ((header[at + 1] ?? 0) << 8) | (header[at + 2] ?? 0);
    if (length > this.#maxFrameBytes) throw new Http2Error("FRAME_SIZE_ERROR", "a frame is longer than was allowed");
    this.#headerFilled = FRAME_HEADER_BYTES;
    this.#type = header[at + 3] ?? 0;
    this.#flags = header[at + 4] ?? 0;
    this.#streamId = readUint31(header, at + 5);
    this.#left = length;
    if (this.#type === FRAME_TYPE.data) this.#beginData(length);
    else if (length === 0) this.#endFrame(NOTHING);
    else if (length > MAX_COLLECTED_BYTES && this.#type <= FRAME_TYPE.continuation) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a frame is longer than any that is needed");
    }
  }

  #beginData(length: number): void {
    this.#sink.onDataBegin(this.#streamId, length, this.#flags);
    this.#awaitsPadLength = (this.#flags & FLAG.padded) !== 0;
    this.#paddingLeft = 0;
    this.#padding = 0;
    if (length > 0) return;
    if (this.#awaitsPadLength) throw new Http2Error("FRAME_SIZE_ERROR", "a padded frame has no length of its padding");
    this.#endData();
  }

  #readData(chunk: Uint8Array, at: number): number {
    if (this.#awaitsPadLength) {
      this.#awaitsPadLength = false;
      this.#paddingLeft = chunk[at] ?? 0;
      this.#padding = 1 + this.#paddingLeft;
      this.#left -= this.#padding;
      if (this.#left < 0) throw new Http2Error("PROTOCOL_ERROR", "the padding is longer than its frame");
      if (this.#left === 0 && this.#paddingLeft === 0) this.#endData();
      return at + 1;
    }
    const bytes = Math.min(this.#left, chunk.length - at);
    if (bytes > 0) {
      this.#left -= bytes;
      this.#sink.onData(chunk.subarray(at, at + bytes));
    }
    const padding = Math.min(this.#paddingLeft, chunk.length - at - bytes);
    this.#paddingLeft -= padding;
    if (this.#left === 0 && this.#paddingLeft === 0) this.#endData();
    return at + bytes + padding;
  }

  #endData(): void {
    this.#headerFilled = 0;
    this.#sink.onDataEnd(this.#padding);
  }

  #readPayload(chunk: Uint8Array, at: number): number {
    const bytes = Math.min(this.#left, chunk.length - at);
    this.#left -= bytes;
    const part = chunk.subarray(at, at + bytes);
    if (this.#type > FRAME_TYPE.continuation) {
      // Unknown types are ignored. (RFC 9113, section 4.1)
      if (this.#left === 0) this.#endFrame(NOTHING);
    } else if (this.#collectedFilled === 0 && this.#left === 0) this.#endFrame(part);
    else this.#collect(part);
    return at + bytes;
  }

  #collect(part: Uint8Array): void {
    if (this.#collectedFilled === 0) this.#collected = new Uint8Array(part.length + this.#left);
    this.#collected.set(part, this.#collectedFilled);
    this.#collectedFilled += part.length;
    if (this.#left > 0) return;
    const whole = this.#collected;
    this.#collected = NOTHING;
    this.#collectedFilled = 0;
    this.#endFrame(whole);
  }

  #endFrame(payload: Uint8Array): void {
    this.#headerFilled = 0;
    this.#sink.onFrame(this.#type, this.#flags, this.#streamId, payload);
  }
}
