import type { AttestationErrorCode } from "@cloister/attestation";
import { CodedError, type Explanation } from "@cloister/encoding";
import type { GrpcStatusName } from "@cloister/encoding/grpc";
import type { DenialCode } from "@cloister/policy";
import type { ConnectionRefusalCode } from "./attested/refusal-reasons.ts";

/**
 * The names of gRPC's statuses are what a server answered, or what the channel found in its place (UNAVAILABLE,
 * DEADLINE_EXCEEDED, CANCELLED, INTERNAL).
 * - PLAINTEXT_REFUSED: neither TLS options nor `insecure: true`, or both.
 * - CLIENT_CERTIFICATE_REFUSED: the server does not accept the client's certificate, or misses one.
 * - CLOSED_AFTER_HANDSHAKE: the server hung up without a word, mostly because it does not accept the client's certificate.
 * - SERVER_NOT_TRUSTED: the server's certificate is not under the authority, not for its name, or out of date.
 * - ANSWER_NOT_SEALED: in a sealed session, an answer that its enclave did not seal.
 * - IMAGE_INVALID: an image cannot be decoded.
 * - INPUT_INVALID: values that make no tensor of the wanted type.
 *
 * A replica that does not pass attestation is refused with the code of the check that failed: one of the connection, of the
 * appraisal, or of the policy.
 */
export type ClientErrorCode =
  | Exclude<GrpcStatusName, "OK">
  | "PLAINTEXT_REFUSED"
  | "CLIENT_CERTIFICATE_REFUSED"
  | "CLOSED_AFTER_HANDSHAKE"
  | "SERVER_NOT_TRUSTED"
  | "ANSWER_NOT_SEALED"
  | "IMAGE_INVALID"
  | "INPUT_INVALID"
  | ConnectionRefusalCode
  | AttestationErrorCode
  | DenialCode;

export class ClientError extends CodedError<ClientErrorCode> {
  /** True: this replica did not pass attestation, and nothing of a request was sent to it. Another one may pass. */
  readonly isReplicaRefused: boolean;

  constructor(
    code: ClientErrorCode,
    explanation: Explanation,
    { isReplicaRefused = false, ...options }: { cause?: unknown; isReplicaRefused?: boolean } = {},
  ) {
    super(code, explanation, options);
    this.isReplicaRefused = isReplicaRefused;
  }
}

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
