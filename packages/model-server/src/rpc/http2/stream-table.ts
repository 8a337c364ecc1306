import { type Http2ErrorCode, MAX_STREAM_ID, rstStreamFrame } from "@cloister/encoding/http2";
import type { Sender } from "./sender.ts";
import type { Http2Stream } from "./stream.ts";

/** Streams that we gave up and whose client may not know yet. */
const MAX_GIVEN_UP = 1000;

/** The streams of one connection that are not over, and what is known of those that are. */
export class StreamTable {
  readonly #sender: Sender;
  readonly #streams = new Map<number, Http2Stream>();
  readonly #givenUp = new Set<number>();
  readonly #countListeners: ((running: number) => void)[] = [];
  #lastId = 0;
  /** Streams above it are not taken any more. */
  #lastTakenId = MAX_STREAM_ID;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** The latest that the client has begun. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Whether later streams are not looked at. */
  get isFinal(): boolean {
    return this.#lastTakenId < MAX_STREAM_ID;
  }

  get(id: number): Http2Stream | undefined {
    return this.#streams.get(id);
  }

  values(): Iterable<Http2Stream> {
    return this.#streams.values();
  }

  /** Whether the client has not begun it. */
  isIdle(id: number): boolean {
    return id > this.#lastId;
  }

  /** Whether frames may be under way to it although it is over: its client did not know when it sent them. */
  mayBeUnderWay(id: number): boolean {
    return this.#givenUp.has(id) || id > this.#lastTakenId;
  }

  /** The client begins a stream. False: it comes too late. */
  begin(id: number): boolean {
    this.#lastId = id;
    return id <= this.#lastTakenId;
  }

  add(stream: Http2Stream): void {
    this.#streams.set(stream.id, stream);
    this.#tellCount();
  }

  /** Takes no stream any more but those that are there. */
  end(): void {
    this.#lastTakenId = this.#lastId;
  }

  reset(stream: Http2Stream, code: Http2ErrorCode): void {
    this.sendReset(stream.id, code);
    this.remove(stream);
  }

  sendReset(id: number, code: Http2ErrorCode): void {
    this.#sender.control(rstStreamFrame(id, code));
    this.#givenUp.add(id);
    if (this.#givenUp.size <= MAX_GIVEN_UP) return;
    const [oldest] = this.#givenUp;
    if (oldest !== undefined) this.#givenUp.delete(oldest);
  }

  removeIfDone(stream: Http2Stream): void {
    if (stream.isRequestEnded && stream.isAnswerEnded) this.remove(stream);
  }

  remove(stream: Http2Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#sender.forget(stream);
    stream.closed();
    this.#tellCount();
  }

  removeAll(): void {
    for (const stream of this.#streams.values()) this.remove(stream);
  }

  /** Told how many streams run each time that changes. */
  onCount(listener: (running: number) => void): void {
    this.#countListeners.push(listener);
  }

  #tellCount(): void {
    for (const listener of this.#countListeners) listener(this.#streams.size);
  }
}
