import type { Duplex } from "node:stream";
import { BrokerError } from "../broker-error.ts";

/** Reads exact numbers of bytes from a socket. One reader a socket, one read at a time; keeps at most what is asked for. */
export class ByteStream {
  readonly #socket: Duplex;
  #wake: (() => void) | undefined;
  #error: unknown;
  #isOver = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    const wake = (): void => this.#wake?.();
    const finish = (): void => {
      this.#isOver = true;
      wake();
    };
    socket.on("readable", wake);
    socket.on("end", finish);
    socket.on("close", finish);
    socket.on("error", (error) => {
      this.#error ??= error;
      finish();
    });
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
