import { once } from "node:events";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { encodeGrpcMessage, GRPC_STATUS, parseGrpcTimeout, writeGrpcPrefix } from "@cloister/encoding/grpc";
import { callError } from "../errors.ts";
import { MessageReader } from "./message-reader.ts";
import { type CallEnvironment, MAX_TIMER_MS, statusOf } from "./unary-call.ts";

const MAX_MESSAGE_BYTES = 64 * 1024;
/** How long a stream may go on when the server stops. */
const DRAIN_MS = 1000;

/**
 * Answers one message of a streaming call, with any number of messages whose first GRPC_PREFIX_LENGTH bytes are left free. It
 * may go on until `signal` fires: the client is gone, or its deadline.
 */
export type StreamHandler = (
  request: Uint8Array,
  send: (message: Uint8Array) => Promise<void>,
  signal: AbortSignal,
) => Promise<void>;

/** Answers the messages of a call one after the other: health watching and reflection. No models are called this way. */
export async function answerStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handler: StreamHandler,
  environment: CallEnvironment,
): Promise<void> {
  const startedAt = performance.now();
  const abort = new AbortController();
  stream.on("error", () => undefined);
  stream.on("close", () => abort.abort());
  const deadline = deadlineOf(headers, abort);
  const onDrain = (): void => {
    abort.abort();
    setTimeout(() => stream.close(), DRAIN_MS).unref();
  };
  environment.draining.addEventListener("abort", onDrain, { once: true });
  let requestBytes = 0;
  let responseBytes = 0;
  let status: keyof typeof GRPC_STATUS = "OK";
  let text = "";
  try {
    stream.respond(environment.headers, { waitForTrailers: true });
    const send = async (message: Uint8Array): Promise<void> => {
      writeGrpcPrefix(message);
      responseBytes += message.length;
      if (!stream.write(message)) await once(stream, "drain", { signal: abort.signal });
    };
    const reader = new MessageReader(MAX_MESSAGE_BYTES);
    // Iterating pauses the stream while a message is answered: nothing piles up.
    for await (const chunk of stream) {
      requestBytes += (chunk as Uint8Array).length;
      for (const message of reader.push(chunk as Uint8Array)) await handler(message, send, abort.signal);
    }
    if (reader.isWithinMessage) throw callError("INTERNAL", "the body ends within a message");
  } catch (error) {
    ({ code: status, text } = stream.closed ? { code: "CANCELLED" as const, text: "" } : statusOf(error));
  } finally {
    clearTimeout(deadline);
    environment.draining.removeEventListener("abort", onDrain);
  }
  const durationMs = performance.now() - startedAt;
  const path = headers[":path"] ?? "";
  environment.onEnd?.({ api: "grpc", method: "POST", path, status, durationMs, requestBytes, responseBytes });
  if (stream.closed) return;
  const trailers = { "grpc-status": String(GRPC_STATUS[status]), "grpc-message": encodeGrpcMessage(text) };
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end();
  stream.resume();
}

/** When the deadline passes the stream is closed: the client has stopped listening by then. */
function deadlineOf(headers: IncomingHttpHeaders, abort: AbortController): NodeJS.Timeout | undefined {
  const header = headers["grpc-timeout"];
  const timeoutMs = header === undefined ? Infinity : parseGrpcTimeout(String(header));
  return timeoutMs > MAX_TIMER_MS ? undefined : setTimeout(() => abort.abort(), timeoutMs);
}
