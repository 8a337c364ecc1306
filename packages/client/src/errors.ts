import { CodedError } from "@cloister/encoding";
import type { GrpcStatusName } from "@cloister/encoding/grpc";

/**
 * The names of gRPC's statuses are what a server answered, or what the channel found in its place (UNAVAILABLE,
 * DEADLINE_EXCEEDED, CANCELLED, INTERNAL).
 * - PLAINTEXT_REFUSED: neither TLS options nor `insecure: true`, or both.
 * - CLIENT_CERTIFICATE_REFUSED: the server does not accept the client's certificate, or misses one.
 * - CLOSED_AFTER_HANDSHAKE: the server hung up without a word, mostly because it does not accept the client's certificate.
 * - SERVER_NOT_TRUSTED: the server's certificate is not under the authority, not for its name, or out of date.
 * - IMAGE_INVALID: an image cannot be decoded.
 */
export type ClientErrorCode =
  | Exclude<GrpcStatusName, "OK">
  | "PLAINTEXT_REFUSED"
  | "CLIENT_CERTIFICATE_REFUSED"
  | "CLOSED_AFTER_HANDSHAKE"
  | "SERVER_NOT_TRUSTED"
  | "IMAGE_INVALID";

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
