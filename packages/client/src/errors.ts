import { CodedError } from "@cloister/encoding";
import type { GrpcStatusName } from "@cloister/encoding/grpc";

/**
 * The names of gRPC's statuses are what a server answered, or what the channel found in its place (UNAVAILABLE,
 * DEADLINE_EXCEEDED, CANCELLED, INTERNAL).
 * - PLAINTEXT_REFUSED: neither TLS options nor `insecure: true`, or both.
 * - IMAGE_INVALID: an image cannot be decoded.
 */
export type ClientErrorCode = Exclude<GrpcStatusName, "OK"> | "PLAINTEXT_REFUSED" | "IMAGE_INVALID";

export class ClientError extends CodedError<ClientErrorCode> {}

/** A call that did not succeed. `text` is the server's status text, or the channel's own. */
export function callFailed(
  code: Exclude<GrpcStatusName, "OK">,
  text: string,
  options?: { cause?: unknown },
): ClientError {
  return new ClientError(
    code,
    { what: text, why: `the call ended with ${code}`, remedy: "see the text of the status" },
    options,
  );
}
