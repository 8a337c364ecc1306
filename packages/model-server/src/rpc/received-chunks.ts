import type { Http2Stream, StreamReceiver } from "./http2/stream.ts";

/** The request of a streaming call, chunk by chunk. Chunks that nobody took yet hold the client back. */
export class ReceivedChunks implements StreamReceiver, AsyncIterable<Uint8Array> {
  readonly #stream: Http2Stream;
  readonly #onClose: () => void;
  #chunks: Uint8Array[] = [];
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(stream: Http2Stream, onClose: () => void) {
    this.#stream = stream;
    this.#onClose = onClose;
    stream.receiver = this;
  }

  onData(bytes: Uint8Array): void {
    this.#chunks.push(Uint8Array.from(bytes));
    this.#wake?.();
  }

  onEnd(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  onClose(): void {
    this.#onClose();
    this.onEnd();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunks = this.#chunks;
      this.#chunks = [];
      for (const chunk of chunks) {
        yield chunk;
        this.#stream.consumed(chunk.length);
      }
      if (this.#chunks.length > 0) continue;
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
