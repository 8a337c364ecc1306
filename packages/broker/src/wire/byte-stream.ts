import type { Duplex } from "node:stream";
import { BrokerError } from "../broker-error.ts";

/** Reads exact numbers of bytes from a socket. One reader a socket, one read at a time; keeps at most what is asked for. */
export class ByteStream {
  readonly #socket: Duplex;
  readonly #gone = new AbortController();
  #wake: (() => void) | undefined;
  #error: unknown;
  #isOver = false;

  /** `endsAtOnce`: a peer that has said its last word waits for nothing more. */
  constructor(socket: Duplex, { endsAtOnce = false }: { readonly endsAtOnce?: boolean } = {}) {
    this.#socket = socket;
    const wake = (): void => {
      if (this.#wake !== undefined) this.#wake();
      // An end behind which nothing is left to read shows only to who reads, if only nothing.
      else if (endsAtOnce && socket.readableLength === 0) socket.read(0);
    };
    const finish = (): void => {
      this.#isOver = true;
      this.#wake?.();
      // An error with its stack is dear, and once we have said our last word, or this was heard before, nobody waits for it.
      if (!socket.writableEnded && !this.#gone.signal.aborted) this.#gone.abort(truncated(this.#error));
    };
    socket.on("readable", wake);
    socket.on("end", finish);
    socket.on("close", finish);
    socket.on("error", (error) => {
      this.#error ??= error;
      finish();
    });
  }

  /** Aborted, with MESSAGE_TRUNCATED, when the peer has left. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Exactly `count` bytes (at least 1). Throws MESSAGE_TRUNCATED when the peer ends before that. */
  async read(count: number): Promise<Uint8Array> {
    const bytes = await this.readOrEnd(count);
    if (bytes === undefined) throw truncated(this.#error);
    return bytes;
  }

  /** The same, or undefined when the peer ends before the first byte. */
  async readOrEnd(count: number): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk: unknown = this.#socket.read(count);
      if (chunk instanceof Uint8Array) {
        if (chunk.length < count) throw truncated(this.#error);
        return chunk;
      }
      if (this.#isOver || this.#socket.destroyed) {
        if (this.#socket.readableLength > 0 || this.#error !== undefined) throw truncated(this.#error);
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** Resolves when the bytes went to the kernel. Throws MESSAGE_TRUNCATED when the peer is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const lost = (): void => reject(truncated(this.#error));
      this.#socket.once("close", lost);
      this.#socket.write(bytes, (error) => {
        this.#socket.off("close", lost);
        if (error) reject(truncated(error));
        else resolve();
      });
    });
  }
}

function truncated(cause: unknown): BrokerError {
  return new BrokerError(
    "MESSAGE_TRUNCATED",
    {
      what: "the message did not arrive",
      why: "the peer closed the connection before the end of it",
      remedy: "look at the peer's log for its reason",
    },
    { cause },
  );
}
