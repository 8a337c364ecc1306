import { FLAG, type HeaderList, HpackDecoder, Http2Error, readUint31 } from "@cloister/encoding/http2";

/** Of a header block, compressed. */
const MAX_BLOCK_BYTES = 64 * 1024;
/** More frames for one block are no honest client's. (CVE-2024-27316) */
const MAX_FRAGMENTS = 16;
const PRIORITY_BYTES = 5;

/** A header block that is whole. */
export interface ReceivedHeaders {
  readonly streamId: number;
  readonly list: HeaderList;
  readonly isEnd: boolean;
}

/** Puts header blocks together from HEADERS and CONTINUATION, and reads them: all of them, so that both sides have the same table. */
export class HeaderReader {
  readonly #decoder: HpackDecoder;
  #streamId = 0;
  #flags = 0;
  #fragments: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxHeaderBytes: number) {
    this.#decoder = new HpackDecoder(maxHeaderBytes);
  }

  /** Whether a block has begun: nothing but its CONTINUATION may come. */
  get isWithin(): boolean {
    return this.#fragments.length > 0;
  }

  /** Of the block that has begun. */
  get streamId(): number {
    return this.#streamId;
  }

  /** A HEADERS frame. Throws Http2Error. */
  begin(flags: number, streamId: number, payload: Uint8Array): ReceivedHeaders | undefined {
    this.#streamId = streamId;
    this.#flags = flags;
    const fragment = fragmentOf(flags, streamId, payload);
    return (flags & FLAG.endHeaders) === 0 ? this.#collect(fragment) : this.#read(fragment);
  }

  /** A CONTINUATION frame. Throws ENHANCE_YOUR_CALM where there is no end of them. */
  goOn(flags: number, payload: Uint8Array): ReceivedHeaders | undefined {
    if (!this.isWithin) throw new Http2Error("PROTOCOL_ERROR", "CONTINUATION without HEADERS");
    this.#collect(payload);
    if ((flags & FLAG.endHeaders) === 0) return undefined;
    const block = Buffer.concat(this.#fragments, this.#bytes);
    this.#fragments = [];
    this.#bytes = 0;
    return this.#read(block);
  }

  #collect(fragment: Uint8Array): undefined {
    this.#fragments.push(Uint8Array.from(fragment));
    this.#bytes += fragment.length;
    if (this.#bytes > MAX_BLOCK_BYTES || this.#fragments.length > MAX_FRAGMENTS) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a header block does not end");
    }
  }

  #read(block: Uint8Array): ReceivedHeaders {
    const isEnd = (this.#flags & FLAG.endStream) !== 0;
    return { streamId: this.#streamId, list: this.#decoder.decode(block), isEnd };
  }
}

/** A HEADERS frame's payload without its padding and priority. (RFC 9113, section 6.2) */
function fragmentOf(flags: number, streamId: number, payload: Uint8Array): Uint8Array {
  const isPadded = (flags & FLAG.padded) !== 0;
  const hasPriority = (flags & FLAG.priority) !== 0;
  const priorityAt = isPadded ? 1 : 0;
  const from = priorityAt + (hasPriority ? PRIORITY_BYTES : 0);
  const to = payload.length - (isPadded ? (payload[0] ?? 0) : 0);
  if (payload.length < from) throw new Http2Error("FRAME_SIZE_ERROR", "HEADERS are too short for their flags");
  if (to < from) throw new Http2Error("PROTOCOL_ERROR", "the padding is longer than its frame");
  if (hasPriority && readUint31(payload, priorityAt) === streamId) {
    throw new Http2Error("PROTOCOL_ERROR", "a stream depends on itself");
  }
  return payload.subarray(from, to);
}
