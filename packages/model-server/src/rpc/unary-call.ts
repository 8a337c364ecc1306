import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { EncodingError } from "@cloister/encoding";
import {
  encodeGrpcMessage,
  GRPC_STATUS,
  type GrpcStatusName,
  parseGrpcTimeout,
  writeGrpcPrefix,
} from "@cloister/encoding/grpc";
import { type GrpcMessage, GrpcMessageAssembler, type MessageMemory } from "@cloister/encoding/grpc-message-assembler";
import { callError, ModelServerError } from "../errors.ts";
import { type Span, withSpan } from "../tracing/span.ts";
import type { Tracer } from "../tracing/tracer.ts";
import type { Http2Stream, StreamReceiver } from "./http2/stream.ts";
import type { BufferBudget, RpcLimits } from "./limits.ts";

/**
 * Answers one call. `signal` fires when the client goes away or its deadline passes (`isLate` tells which). The result is the response message with
 * the first GRPC_PREFIX_LENGTH bytes left free. The request's memory is used again once there is a result, which is no view of it. Throws `ModelServerError`; anything else becomes INTERNAL without its text.
 */
export type UnaryHandler = (request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;

/** What all calls of a server share. */
export interface CallEnvironment {
  readonly limits: RpcLimits;
  readonly budget: BufferBudget;
  /** Where requests are put. */
  readonly memory: MessageMemory;
  /** Sent with each answer: FIXED_HEADERS and the server's own, put together once. */
  readonly headers: Readonly<Record<string, string | number>>;
  /** Told about every ended call. */
  readonly onEnd?: ((call: EndedCall) => void) | undefined;
  readonly tracer?: Tracer | undefined;
  /** Fires when the server stops taking calls. */
  readonly draining: AbortSignal;
}

/** What is told about a call: nothing of its content. */
export interface EndedCall {
  readonly api: "grpc" | "rest";
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  /** A gRPC status, or an HTTP one. */
  readonly status: GrpcStatusName | number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly traceId?: string;
}

const inflate = promisify(gunzip);
/** Largest delay that a timer holds; a longer deadline is none. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
/** TensorFlow Serving cuts longer status texts. */
const MAX_STATUS_BYTES = 1024;

/** Headers that every answer begins with. */
export const FIXED_HEADERS = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": "identity,gzip",
};

const OK_TRAILERS = { "grpc-status": "0" };

/** One unary call on one HTTP/2 stream, from its headers to its trailers. */
export class UnaryCall implements StreamReceiver {
  readonly #stream: Http2Stream;
  readonly #environment: CallEnvironment;
  readonly #path: string;
  readonly #assembler: GrpcMessageAssembler;
  readonly #abort = new AbortController();
  readonly #startedAt = performance.now();
  #heldBytes = 0;
  #requestBytes = 0;
  #responseBytes = 0;
  #span: Span | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #isAnswered = false;
  #answer: ((request: GrpcMessage) => Promise<Uint8Array>) | undefined;

  constructor(stream: Http2Stream, environment: CallEnvironment) {
    this.#stream = stream;
    this.#path = stream.headers[":path"] ?? "";
    this.#environment = environment;
    this.#assembler = new GrpcMessageAssembler(environment.limits.maxMessageBytes, environment.memory);
  }

  /** Reads the request, calls the handler, answers. Never throws: every failure is an answer or a closed stream. */
  start(handler: UnaryHandler | undefined): void {
    const { headers, peer } = this.#stream;
    this.#stream.receiver = this;
    this.#span = this.#environment.tracer?.begin(this.#path.slice(1), headers["traceparent"], {
      "rpc.system": "grpc",
      "network.peer.address": peer.address,
      "network.peer.port": peer.port,
    });
    try {
      this.#startDeadline(headers["grpc-timeout"]);
      const decode = decoderOf(headers["grpc-encoding"], this.#environment.limits.maxMessageBytes);
      if (handler === undefined) throw callError("UNIMPLEMENTED", `unknown method ${this.#path}`);
      this.#answer = async (message) => {
        const request = await decode(message);
        return withSpan(this.#span, () => handler(request, this.#abort.signal));
      };
    } catch (error) {
      this.#fail(error);
    }
  }

  onData(bytes: Uint8Array): void {
    // What is held is bounded by the budget, not by the window: a large request must not wait for its own acknowledgements.
    this.#stream.consumed(bytes.length);
    if (this.#isAnswered) return;
    try {
      this.#hold(bytes.length);
      this.#requestBytes += bytes.length;
      this.#assembler.push(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  onEnd(): void {
    if (!this.#isAnswered) this.#run().catch((error: unknown) => this.#fail(error));
  }

  onClose(): void {
    if (!this.#isAnswered) this.#markAnswered("CANCELLED");
    this.#environment.budget.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
  }

  async #run(): Promise<void> {
    const frame = await this.#answer?.(this.#assembler.finish());
    // The answer is made, so nobody reads the request any more. After a failure an engine may still be at it.
    this.#assembler.release();
    if (frame !== undefined) this.#succeed(frame);
  }

  #startDeadline(header: string | undefined): void {
    if (header === undefined) return;
    const timeoutMs = parseGrpcTimeout(header);
    if (timeoutMs > MAX_TIMER_MS) return;
    this.#deadline = setTimeout(() => this.#fail(callError("DEADLINE_EXCEEDED", "Deadline Exceeded")), timeoutMs);
  }

  #hold(bytes: number): void {
    if (!this.#environment.budget.tryTake(bytes)) {
      throw callError("RESOURCE_EXHAUSTED", "The server holds as many request bytes as it may; try again later.");
    }
    this.#heldBytes += bytes;
  }

  #succeed(frame: Uint8Array): void {
    if (this.#isAnswered || this.#stream.isClosed) return;
    this.#hold(frame.length);
    this.#responseBytes = frame.length;
    this.#markAnswered("OK");
    writeGrpcPrefix(frame);
    this.#stream.answer(this.#environment.headers, frame, OK_TRAILERS);
  }

  /** A "trailers-only" answer. What the client still sends is not read: the stream is closed after the answer. */
  #fail(error: unknown): void {
    if (this.#isAnswered || this.#stream.isClosed) return;
    const { code, text } = statusOf(error);
    this.#markAnswered(code, error);
    const headers = {
      ...this.#environment.headers,
      "grpc-status": String(GRPC_STATUS[code]),
      "grpc-message": encodeGrpcMessage(truncated(text)),
    };
    this.#stream.respondOnly(headers);
    this.#stream.reset("NO_ERROR");
  }

  #markAnswered(status: GrpcStatusName, reason?: unknown): void {
    this.#isAnswered = true;
    clearTimeout(this.#deadline);
    if (status !== "OK") this.#abort.abort(reason);
    this.#span?.end(status === "OK" ? undefined : status);
    this.#environment.onEnd?.({
      api: "grpc",
      method: "POST",
      path: this.#path,
      status,
      durationMs: performance.now() - this.#startedAt,
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
      ...(this.#span !== undefined && { traceId: this.#span.traceId }),
    });
  }
}

function decoderOf(
  header: string | undefined,
  maxMessageBytes: number,
): (message: GrpcMessage) => Promise<Uint8Array> | Uint8Array {
  if (header !== undefined && header !== "identity" && header !== "gzip") {
    throw callError("UNIMPLEMENTED", "Compression algorithm is not supported; identity and gzip are.");
  }
  return (message) => {
    if (!message.compressed) return message.bytes;
    if (header !== "gzip") throw callError("INTERNAL", "Compressed flag set without a compression algorithm.");
    return gunzipped(message.bytes, maxMessageBytes);
  };
}

async function gunzipped(bytes: Uint8Array, maxMessageBytes: number): Promise<Uint8Array> {
  try {
    // A copy into memory of its own: small Buffers share a pool, which an engine could not take over.
    return new Uint8Array(await inflate(bytes, { maxOutputLength: maxMessageBytes }));
  } catch (cause) {
    const isTooLarge = (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    if (isTooLarge) throw callError("RESOURCE_EXHAUSTED", "Decompressed message larger than max.", { cause });
    throw callError("INTERNAL", "Failed to decompress the message.", { cause });
  }
}

/** The status that an error of a handler is answered with. Texts of unforeseen errors are not told. */
export function statusOf(error: unknown): { code: Exclude<GrpcStatusName, "OK">; text: string } {
  if (error instanceof ModelServerError && error.code in GRPC_STATUS) {
    return { code: error.code as Exclude<GrpcStatusName, "OK">, text: error.explanation.what };
  }
  if (error instanceof EncodingError && error.code === "GRPC_MESSAGE_TOO_LARGE") {
    return { code: "RESOURCE_EXHAUSTED", text: error.explanation.what };
  }
  if (error instanceof EncodingError)
    return { code: "INTERNAL", text: `${error.explanation.what}: ${error.explanation.why}` };
  return { code: "INTERNAL", text: "Internal error." };
}

function truncated(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_STATUS_BYTES ? text : `${bytes.subarray(0, MAX_STATUS_BYTES).toString()}...TRUNCATED`;
}
