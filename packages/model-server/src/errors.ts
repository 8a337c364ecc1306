import { CodedError } from "@cloister/encoding";
import type { GrpcStatusName } from "@cloister/encoding/grpc";

/**
 * The names of gRPC's statuses are answers to a call. The rest are refusals to start:
 * - PLAINTEXT_REFUSED: neither TLS material nor `insecure: true`, or both.
 * - TLS_MATERIAL_INVALID: key, certificate or authority cannot be used, or clients are to be verified without an authority.
 * - MODEL_NOT_AVAILABLE: a model failed to load; the cause says why.
 * - LISTEN_FAILED: the address or port cannot be listened on.
 */
export type ModelServerErrorCode =
  | Exclude<GrpcStatusName, "OK">
  | "PLAINTEXT_REFUSED"
  | "TLS_MATERIAL_INVALID"
  | "MODEL_NOT_AVAILABLE"
  | "LISTEN_FAILED";

export class ModelServerError extends CodedError<ModelServerErrorCode> {}

/** A failed call. `text` goes to the client as `grpc-message`, byte for byte what TensorFlow Serving sends where it is known. */
export function callError(
  code: Exclude<GrpcStatusName, "OK">,
  text: string,
  options?: { cause?: unknown },
): ModelServerError {
  return new ModelServerError(
    code,
    { what: text, why: `the call ended with ${code}`, remedy: "see the text of the status" },
    options,
  );
}

/** Whether a call's signal fired because its deadline has passed, not because the client went away. */
export function isLate(signal: AbortSignal | undefined): boolean {
  const reason: unknown = signal?.reason;
  return reason instanceof ModelServerError && reason.code === "DEADLINE_EXCEEDED";
}
