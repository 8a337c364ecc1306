import { CodedError, type Explanation } from "@cloister/encoding";

export type SavedModelErrorCode =
  | "BUNDLE_MALFORMED"
  | "BUNDLE_CHECKSUM"
  | "BUNDLE_TENSOR_MISSING"
  | "BUNDLE_TRUNCATED"
  | "BUNDLE_UNSUPPORTED"
  | "DOWNLOAD_FAILED"
  | "DOWNLOAD_DIGEST"
  | "FILE_MISSING"
  | "FUNCTION_CYCLE"
  | "FUNCTION_MISSING"
  | "GRAPH_CYCLE"
  | "GRAPH_MALFORMED"
  | "LIMIT_EXCEEDED"
  | "MODEL_NOT_FOUND"
  | "NODE_NOT_FOUND"
  | "PROTO_MALFORMED"
  | "SIGNATURE_NOT_FOUND"
  | "TAGS_NOT_FOUND"
  | "TENSOR_MALFORMED"
  | "UNSUPPORTED_OPS";

/** The one error class of this package. Messages name nodes, ops and files of the model, never tensor contents. */
export class SavedModelError extends CodedError<SavedModelErrorCode> {}

/** A `SavedModelError` from its three sentences. */
export function fault(
  code: SavedModelErrorCode,
  what: string,
  why: string,
  remedy: string,
  cause?: unknown,
): SavedModelError {
  const explanation: Explanation = { what, why, remedy };
  return new SavedModelError(code, explanation, cause === undefined ? undefined : { cause });
}
