import { GRPC_PREFIX_LENGTH } from "@cloister/encoding/grpc";
import { callError } from "../errors.ts";

/** Takes the messages of a streaming call out of its chunks. They are small: whatever is longer than `maxBytes` is refused. */
export class MessageReader {
  readonly #maxBytes: number;
  #pending = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The messages that are whole with this chunk. Throws RESOURCE_EXHAUSTED, and UNIMPLEMENTED for compressed ones. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const messages: Uint8Array[] = [];
    while (this.#pending.length >= GRPC_PREFIX_LENGTH) {
      const length = this.#pending.readUInt32BE(1);
      if (this.#pending[0] !== 0) throw callError("UNIMPLEMENTED", "Compressed messages are not supported in streams.");
      if (length > this.#maxBytes)
        throw callError("RESOURCE_EXHAUSTED", `Received message larger than max (${length})`);
      const end = GRPC_PREFIX_LENGTH + length;
      if (this.#pending.length < end) break;
      messages.push(this.#pending.subarray(GRPC_PREFIX_LENGTH, end));
      this.#pending = this.#pending.subarray(end);
    }
    return messages;
  }

  /** Whether a message has begun and is not whole. */
  get isWithinMessage(): boolean {
    return this.#pending.length > 0;
  }
}
