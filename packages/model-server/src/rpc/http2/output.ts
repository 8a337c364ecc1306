import type { Socket } from "node:net";
import { FRAME_HEADER_BYTES, writeFrameHeader } from "@cloister/encoding/http2";

const MIN_SCRATCH_BYTES = 1024;
const MAX_SCRATCH_BYTES = 64 * 1024;
/** Larger payloads are written from where they lie. */
const COPIED_BYTES = 16 * 1024;
/** What waits before streams have to wait too. */
const ENOUGH_BYTES = 256 * 1024;

const NO_BYTES = Buffer.alloc(0);

/**
 * Collects the frames of a connection and gives them to its socket once in a turn of the event loop: the answers of many small
 * calls are then one write, and one TLS record.
 */
export class Output {
  readonly #socket: Socket;
  readonly #onDrain: () => void;
  #parts: Uint8Array[] = [];
  #scratch = NO_BYTES;
  #from = 0;
  #filled = 0;
  #nextScratchBytes = MIN_SCRATCH_BYTES;
  #waitingBytes = 0;
  #isScheduled = false;
  #isSocketFull = false;
  readonly #flush = (): void => this.#flushUnlessFull();

  constructor(socket: Socket, onDrain: () => void) {
    this.#socket = socket;
    this.#onDrain = onDrain;
    socket.on("drain", () => {
      this.#isSocketFull = false;
      this.#flush();
      this.#onDrain();
    });
  }

  /** Whether the peer is slower than we are: bodies wait until `onDrain`, control frames do not. */
  get isFull(): boolean {
    return this.#isSocketFull || this.#waitingBytes >= ENOUGH_BYTES;
  }

  /** What was not given to the socket yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Adds a frame. A large payload must not change until it was sent. */
  frame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    this.#room(FRAME_HEADER_BYTES);
    writeFrameHeader(this.#scratch, this.#filled, payload.length, type, flags, streamId);
    this.#filled += FRAME_HEADER_BYTES;
    this.#waitingBytes += FRAME_HEADER_BYTES;
    this.add(payload);
  }

  /** Adds bytes of a frame. */
  add(bytes: Uint8Array): void {
    this.#waitingBytes += bytes.length;
    if (bytes.length > COPIED_BYTES) {
      this.#cut();
      this.#parts.push(bytes);
    } else {
      this.#room(bytes.length);
      this.#scratch.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  /** Gives the socket what waits, full or not: it is about to end. */
  flushAll(): void {
    if (this.#waitingBytes > 0 && this.#socket.writable) this.#write();
  }

  /** Gives the socket what waits, unless it is full. */
  #flushUnlessFull(): void {
    this.#isScheduled = false;
    if (this.#isSocketFull || this.#waitingBytes === 0 || !this.#socket.writable) return;
    const wasFull = this.isFull;
    this.#write();
    if (wasFull && !this.#isSocketFull) this.#onDrain();
  }

  #write(): void {
    this.#cut();
    const parts = this.#parts;
    this.#parts = [];
    // Idle connections hold no memory; the next write is likely to be as long as this one.
    this.#nextScratchBytes = Math.max(MIN_SCRATCH_BYTES, Math.min(this.#waitingBytes, MAX_SCRATCH_BYTES));
    this.#scratch = NO_BYTES;
    this.#from = 0;
    this.#filled = 0;
    this.#waitingBytes = 0;
    for (const part of parts) this.#isSocketFull = !this.#socket.write(part);
  }

  /** What is filled of the scratch memory becomes a part. */
  #cut(): void {
    if (this.#filled > this.#from) this.#parts.push(this.#scratch.subarray(this.#from, this.#filled));
    this.#from = this.#filled;
  }

  #room(bytes: number): void {
    if (this.#filled + bytes <= this.#scratch.length) return;
    this.#cut();
    this.#scratch = Buffer.allocUnsafe(Math.max(bytes, this.#nextScratchBytes));
    this.#nextScratchBytes = Math.min(2 * this.#nextScratchBytes, MAX_SCRATCH_BYTES);
    this.#from = 0;
    this.#filled = 0;
  }
}
