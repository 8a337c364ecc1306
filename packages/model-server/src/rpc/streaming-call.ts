import { encodeGrpcMessage, GRPC_STATUS, parseGrpcTimeout, writeGrpcPrefix } from "@cloister/encoding/grpc";
import { callError } from "../errors.ts";
import type { RequestHeaders } from "./http2/request-headers.ts";
import type { Http2Stream } from "./http2/stream.ts";
import { MessageReader } from "./message-reader.ts";
import { ReceivedChunks } from "./received-chunks.ts";
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
  stream: Http2Stream,
  handler: StreamHandler,
  environment: CallEnvironment,
): Promise<void> {
  const startedAt = performance.now();
  const abort = new AbortController();
  stream.mayStandStill = true;
  const chunks = new ReceivedChunks(stream, () => abort.abort());
  const { headers } = stream;
  const deadline = deadlineOf(headers, abort);
  const onDrain = (): void => {
    abort.abort();
    setTimeout(() => stream.reset("CANCEL"), DRAIN_MS).unref();
  };
  environment.draining.addEventListener("abort", onDrain, { once: true });
  let requestBytes = 0;
  let responseBytes = 0;
  let status: keyof typeof GRPC_STATUS = "OK";
  let text = "";
  try {
    stream.respond(environment.headers);
    const send = async (message: Uint8Array): Promise<void> => {
      writeGrpcPrefix(message);
      responseBytes += message.length;
      stream.send(message);
      await sent(stream, abort.signal);
    };
    const reader = new MessageReader(MAX_MESSAGE_BYTES);
    for await (const chunk of chunks) {
      requestBytes += chunk.length;
      for (const message of reader.push(chunk)) await handler(message, send, abort.signal);
    }
    if (reader.isWithinMessage) throw callError("INTERNAL", "the body ends within a message");
  } catch (error) {
    ({ code: status, text } = stream.isClosed ? { code: "CANCELLED" as const, text: "" } : statusOf(error));
  } finally {
    clearTimeout(deadline);
    environment.draining.removeEventListener("abort", onDrain);
  }
  const durationMs = performance.now() - startedAt;
  const path = headers[":path"] ?? "";
  environment.onEnd?.({ api: "grpc", method: "POST", path, status, durationMs, requestBytes, responseBytes });
  stream.mayStandStill = false;
  stream.end({ "grpc-status": String(GRPC_STATUS[status]), "grpc-message": encodeGrpcMessage(text) });
  if (!stream.isRequestEnded && !stream.isSending) stream.reset("NO_ERROR");
}

/** Resolves when the client has taken what was sent, or is gone. Rejects when the signal fires before. */
function sent(stream: Http2Stream, signal: AbortSignal): Promise<void> {
  if (stream.isClosed || !stream.isSending) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error("nobody waits for the answer any more"));
    signal.addEventListener("abort", onAbort, { once: true });
    stream.onDrain = () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
  });
}

/** When the deadline passes the stream is closed: the client has stopped listening by then. */
function deadlineOf(headers: RequestHeaders, abort: AbortController): NodeJS.Timeout | undefined {
  const header = headers["grpc-timeout"];
  const timeoutMs = header === undefined ? Infinity : parseGrpcTimeout(header);
  return timeoutMs > MAX_TIMER_MS ? undefined : setTimeout(() => abort.abort(), timeoutMs);
}
