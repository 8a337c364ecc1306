import { SavedModelError } from "@cloister/saved-model/run";
import type { Explanation } from "@cloister/encoding";
import { EngineError, type EngineErrorCode } from "./error.ts";

/** An `EngineError` from its three sentences. */
export function engineError(
  code: EngineErrorCode,
  what: string,
  why: string,
  remedy: string,
  cause?: unknown,
): EngineError {
  return new EngineError(code, { what, why, remedy }, cause === undefined ? undefined : { cause });
}

export function closed(): EngineError {
  return engineError(
    "CLOSED",
    "the model version is being unloaded",
    "the server stops or replaces it",
    "send the request again",
  );
}

export function cancelled(): EngineError {
  return engineError("CANCELLED", "the request was cancelled", "the caller gave it up", "nothing has to be done");
}

/** An error in a form that crosses threads. */
export interface Failure {
  readonly source: "engine" | "saved-model" | "unknown";
  readonly code: string;
  readonly explanation: Explanation;
}

export function toFailure(error: unknown): Failure {
  if (error instanceof EngineError) return { source: "engine", code: error.code, explanation: error.explanation };
  if (error instanceof SavedModelError)
    return { source: "saved-model", code: error.code, explanation: error.explanation };
  const why = error instanceof Error ? `${error.name} in the engine's thread` : "an unknown fault";
  return {
    source: "unknown",
    code: "ENGINE_FAILED",
    explanation: { what: "the engine failed", why, remedy: "report this fault" },
  };
}

export function fromFailure({ source, code, explanation }: Failure): Error {
  return source === "saved-model"
    ? new SavedModelError(code as SavedModelError["code"], explanation)
    : new EngineError(code as EngineErrorCode, explanation);
}
