import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { EncodingError } from "@cloister/encoding";
import { decodeGrpcMessage, formatGrpcTimeout, type GrpcStatusName, grpcStatusName } from "@cloister/encoding/grpc";
import { GrpcMessageAssembler } from "@cloister/encoding/grpc-message-assembler";
import type { ClientError } from "../errors.ts";
import { callFailed } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { UnaryRequest, UnaryResponse } from "./options.ts";

/** The header in which a replica names itself. */
export const REPLICA_HEADER = "cloister-replica";

/** HTTP statuses that stand in for a gRPC status where something in between answered. (grpc http-grpc-status-mapping.md) */
const HTTP_STATUS: Readonly<Record<number, Exclude<GrpcStatusName, "OK">>> = {
  400: "INTERNAL",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "UNIMPLEMENTED",
  429: "UNAVAILABLE",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "UNAVAILABLE",
};

/**
 * Sends a call once on one connection. Throws ClientError: the server's status, UNAVAILABLE where the connection ended
 * without one, DEADLINE_EXCEEDED after `remainingMs`, CANCELLED when the signal fires.
 */
export function sendOnce(
  connection: Connection,
  request: UnaryRequest,
  remainingMs: number | undefined,
  maxMessageBytes: number,
): Promise<UnaryResponse> {
  return new Promise((resolve, reject) => {
    const stream = openStream(connection, request, remainingMs);
    const received = new ReceivedResponse(maxMessageBytes);
    let failure: ClientError | undefined;
    const giveUp = (error: ClientError): void => {
      failure ??= error;
      stream.close(constants.NGHTTP2_CANCEL);
    };
    const onAbort = (): void => giveUp(callFailed("CANCELLED", "the call was cancelled"));
    const timer =
      remainingMs === undefined
        ? undefined
        : setTimeout(() => giveUp(callFailed("DEADLINE_EXCEEDED", "Deadline Exceeded")), remainingMs);
    request.signal?.addEventListener("abort", onAbort, { once: true });
    received.listen(stream, giveUp);
    stream.on("close", () => {
      clearTimeout(timer);
      request.signal?.removeEventListener("abort", onAbort);
      try {
        if (failure !== undefined) throw failure;
        resolve(received.finish(stream.rstCode));
      } catch (error) {
        reject(error);
      }
    });
    if (request.signal?.aborted === true) onAbort();
    else stream.end(request.frame);
  });
}

function openStream(
  connection: Connection,
  { path, traceParent }: UnaryRequest,
  remainingMs: number | undefined,
): ClientHttp2Stream {
  try {
    return connection.request({
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(remainingMs !== undefined && { "grpc-timeout": formatGrpcTimeout(remainingMs) }),
      ...(traceParent !== undefined && { traceparent: traceParent }),
    });
  } catch (cause) {
    throw callFailed("UNAVAILABLE", "the connection was closed before the call was sent", { cause });
  }
}

/** What has come in for a call. */
class ReceivedResponse {
  readonly #assembler: GrpcMessageAssembler;
  #headers: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #connectionError: Error | undefined;

  constructor(maxMessageBytes: number) {
    this.#assembler = new GrpcMessageAssembler(maxMessageBytes);
  }

  listen(stream: ClientHttp2Stream, giveUp: (error: ClientError) => void): void {
    stream.on("response", (headers) => {
      this.#headers = headers;
    });
    stream.on("trailers", (trailers: IncomingHttpHeaders) => {
      this.#trailers = trailers;
    });
    stream.on("error", (error: Error) => {
      this.#connectionError = error;
    });
    stream.on("data", (chunk: Buffer) => {
      try {
        this.#assembler.push(chunk);
      } catch (error) {
        giveUp(unreadable(error));
      }
    });
  }

  finish(rstCode: number | undefined): UnaryResponse {
    const headers = this.#headers;
    const status = this.#trailers?.["grpc-status"] ?? headers?.["grpc-status"];
    if (headers === undefined || (status === undefined && headers[":status"] === 200)) throw this.#lost(rstCode);
    const httpStatus = headers[":status"] ?? 0;
    if (httpStatus !== 200) throw callFailed(HTTP_STATUS[httpStatus] ?? "UNKNOWN", `HTTP status ${httpStatus}`);
    const name = grpcStatusName(status === undefined ? undefined : String(status));
    if (name !== "OK") {
      const text = this.#trailers?.["grpc-message"] ?? headers["grpc-message"] ?? "";
      throw callFailed(name, decodeGrpcMessage(String(text)));
    }
    const replica = headers[REPLICA_HEADER];
    return { message: this.#message(), replica: replica === undefined ? undefined : String(replica) };
  }

  #message(): Uint8Array {
    try {
      const message = this.#assembler.finish();
      if (!message.compressed) return message.bytes;
    } catch (error) {
      throw unreadable(error);
    }
    throw callFailed("INTERNAL", "the response is compressed, which was not asked for");
  }

  #lost(rstCode: number | undefined): ClientError {
    if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) {
      return callFailed("RESOURCE_EXHAUSTED", "the server asked for fewer calls");
    }
    return callFailed("UNAVAILABLE", "the connection was lost", { cause: this.#connectionError });
  }
}

function unreadable(cause: unknown): ClientError {
  if (cause instanceof EncodingError && cause.code === "GRPC_MESSAGE_TOO_LARGE") {
    return callFailed("RESOURCE_EXHAUSTED", cause.explanation.what, { cause });
  }
  return callFailed("INTERNAL", "the response is not one gRPC message", { cause });
}
