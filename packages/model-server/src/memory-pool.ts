import type { MessageMemory } from "@cloister/encoding/grpc-message-assembler";

/** Memory is kept in multiples of it; what is smaller is not kept. */
const STEP_BYTES = 64 * 1024;
const MAX_FREE_BYTES = 32 * 1024 * 1024;

/**
 * Memory of large requests and of their tensors, used again by later ones. V8 marks its whole heap each time that so many megabytes of
 * new arrays were made, however short they lived: with a new array for each request of 602 kB that was half again as often.
 */
export class MemoryPool implements MessageMemory {
  readonly #free: ArrayBuffer[] = [];
  readonly #maxFreeBytes: number;
  #freeBytes = 0;

  constructor(maxFreeBytes = MAX_FREE_BYTES) {
    this.#maxFreeBytes = maxFreeBytes;
  }

  /** What it holds for later. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  take(bytes: number): ArrayBuffer {
    if (bytes < STEP_BYTES) return Buffer.allocUnsafeSlow(bytes).buffer;
    const size = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
    const at = this.#free.findLastIndex(({ byteLength }) => byteLength === size);
    const [found] = at === -1 ? [] : this.#free.splice(at, 1);
    if (found === undefined) return Buffer.allocUnsafeSlow(size).buffer;
    this.#freeBytes -= size;
    return found;
  }

  give(memory: ArrayBuffer): void {
    if (memory.byteLength < STEP_BYTES) return;
    this.#free.push(memory);
    this.#freeBytes += memory.byteLength;
    // What was not asked for the longest goes first.
    while (this.#freeBytes > this.#maxFreeBytes) this.#freeBytes -= this.#free.shift()?.byteLength ?? 0;
  }
}
