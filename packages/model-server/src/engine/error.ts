import { CodedError } from "@cloister/encoding";

/**
 * - SIGNATURE_NOT_FOUND, INPUT_MISSING, INPUT_UNKNOWN, OUTPUT_UNKNOWN: the request does not fit the signature.
 * - INPUT_INVALID: dtype, element count or shape that the graph refuses (INVALID_ARGUMENT over gRPC).
 * - UNSUPPORTED_OPS: the signature needs ops that the engine lacks.
 * - QUEUE_FULL: too many waiting requests (UNAVAILABLE). CANCELLED: the signal fired. CLOSED: the servable was closed.
 * - ENGINE_MISSING: the engine is not installed, or not for this system.
 * - INSTALL_FAILED: the download of an engine could not be unpacked.
 * - MEMORY_EXCEEDED: the model does not fit into the memory that is set aside for models.
 * - LOAD_FAILED: the native engine refused the lowered graph. ENGINE_FAILED: its thread died.
 */
export type EngineErrorCode =
  | "CANCELLED"
  | "CLOSED"
  | "ENGINE_FAILED"
  | "ENGINE_MISSING"
  | "INPUT_INVALID"
  | "INPUT_MISSING"
  | "INPUT_UNKNOWN"
  | "INSTALL_FAILED"
  | "LOAD_FAILED"
  | "MEMORY_EXCEEDED"
  | "OUTPUT_UNKNOWN"
  | "QUEUE_FULL"
  | "SIGNATURE_NOT_FOUND"
  | "UNSUPPORTED_OPS";

/** Errors of loading into and running on an engine. */
export class EngineError extends CodedError<EngineErrorCode> {}
