import { EncodingError } from "../encoding-error.ts";
import { GRPC_PREFIX_LENGTH } from "./grpc.ts";

/** Memory is taken in steps of this size at most before the bytes are there: a length is only a claim. */
const FIRST_ALLOCATION_BYTES = 4 * 1024 * 1024;
/** Below this clearing memory costs less than asking the allocator for uncleared memory. */
const SMALL_BYTES = 4096;
/** Elements of tensors are 8 bytes long at most. */
const ALIGNMENT_BYTES = 8;

/** Where large messages are put. */
export interface MessageMemory {
  /** At least `bytes` long, and not cleared. */
  take(bytes: number): ArrayBuffer;
  /** Takes back what nobody reads any more. */
  give(memory: ArrayBuffer): void;
}

const NEW_MEMORY: MessageMemory = {
  take: (bytes) => Buffer.allocUnsafeSlow(bytes).buffer,
  give: () => undefined,
};

/** The one message of a unary call. */
export interface GrpcMessage {
  readonly compressed: boolean;
  readonly bytes: Uint8Array;
}

/**
 * Collects the chunks of a unary call's body into one array that is sized by the message's prefix, so that each byte is
 * copied once. The message ends on a multiple of eight bytes: a lone tensor, which stands last in a request, can then be used where
 * it lies. Throws GRPC_MALFORMED (no, cut or second message, bad flag) and GRPC_MESSAGE_TOO_LARGE.
 */
export class GrpcMessageAssembler {
  readonly #maxMessageBytes: number;
  readonly #memory: MessageMemory;
  readonly #prefix = new Uint8Array(GRPC_PREFIX_LENGTH);
  #prefixFilled = 0;
  #length = 0;
  #filled = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(maxMessageBytes: number, memory: MessageMemory = NEW_MEMORY) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#memory = memory;
  }

  /** Adds a chunk, which may be reused afterwards. */
  push(chunk: Uint8Array): void {
    const rest = this.#takePrefix(chunk);
    if (rest.length === 0) return;
    const needed = this.#filled + rest.length;
    if (needed > this.#length) throw malformed("more bytes than one message of the announced length");
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#bytes.set(rest, this.#filled);
    this.#filled = needed;
  }

  /** The message, once the peer has ended its side. */
  finish(): GrpcMessage {
    if (this.#prefixFilled < GRPC_PREFIX_LENGTH) throw malformed("the body ends before a message began");
    if (this.#filled < this.#length) throw malformed("the body ends within the message");
    return { compressed: this.#prefix[0] === 1, bytes: this.#bytes.subarray(0, this.#length) };
  }

  /** Gives the message's memory back. Only for a message that nobody reads any more. */
  release(): void {
    this.#free(this.#bytes);
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }

  #takePrefix(chunk: Uint8Array): Uint8Array {
    if (this.#prefixFilled === GRPC_PREFIX_LENGTH) return chunk;
    const part = chunk.subarray(0, GRPC_PREFIX_LENGTH - this.#prefixFilled);
    this.#prefix.set(part, this.#prefixFilled);
    this.#prefixFilled += part.length;
    if (this.#prefixFilled === GRPC_PREFIX_LENGTH) this.#begin();
    return chunk.subarray(part.length);
  }

  #begin(): void {
    if ((this.#prefix[0] ?? 0) > 1) throw malformed("the compression flag is neither 0 nor 1");
    this.#length = new DataView(this.#prefix.buffer).getUint32(1);
    if (this.#length > this.#maxMessageBytes) {
      throw new EncodingError("GRPC_MESSAGE_TOO_LARGE", {
        what: `Received message larger than max (${this.#length} vs. ${this.#maxMessageBytes})`,
        why: "the length in the message's prefix is above the receiver's limit",
        remedy: "send smaller batches, or raise the receiver's limit",
      });
    }
    this.#bytes = this.#allocate(Math.min(this.#length, FIRST_ALLOCATION_BYTES));
  }

  #grow(needed: number): void {
    const larger = this.#allocate(Math.min(this.#length, Math.max(needed, 2 * this.#bytes.length)));
    larger.set(this.#bytes.subarray(0, this.#filled));
    this.#free(this.#bytes);
    this.#bytes = larger;
  }

  /** Large memory is not cleared: only what was filled is ever given out. */
  #allocate(bytes: number): Uint8Array {
    const padding = (ALIGNMENT_BYTES - (this.#length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
    if (bytes <= SMALL_BYTES) return new Uint8Array(padding + bytes).subarray(padding);
    return new Uint8Array(this.#memory.take(padding + bytes), padding, bytes);
  }

  #free({ buffer, length }: Uint8Array): void {
    if (length > SMALL_BYTES) this.#memory.give(buffer as ArrayBuffer);
  }
}

function malformed(why: string): EncodingError {
  return new EncodingError("GRPC_MALFORMED", {
    what: "the gRPC message is malformed",
    why,
    remedy: "send exactly one length-prefixed message in each direction",
  });
}
