import { isCodedError } from "@cloister/encoding";
import type { Tensor } from "@cloister/encoding/tensor";
import type { RunRequest, Servable } from "../engine/engine.ts";
import { EngineError, type EngineErrorCode } from "../engine/error.ts";
import { jointAlias, signatureKeys } from "../engine/joint-signature.ts";
import { callError, isLate } from "../errors.ts";
import { inSpan } from "../tracing/span.ts";

/** What an empty signature name means. */
export const DEFAULT_SIGNATURE = "serving_default";
export const METHOD = {
  classify: "tensorflow/serving/classify",
  regress: "tensorflow/serving/regress",
  predict: "tensorflow/serving/predict",
} as const;

const ENGINE_STATUS: Readonly<Record<EngineErrorCode, Parameters<typeof callError>[0]>> = {
  CANCELLED: "CANCELLED",
  CLOSED: "UNAVAILABLE",
  ENGINE_FAILED: "UNAVAILABLE",
  ENGINE_MISSING: "FAILED_PRECONDITION",
  INPUT_INVALID: "INVALID_ARGUMENT",
  INPUT_MISSING: "INVALID_ARGUMENT",
  INPUT_UNKNOWN: "INVALID_ARGUMENT",
  INSTALL_FAILED: "INTERNAL",
  LOAD_FAILED: "INTERNAL",
  MEMORY_EXCEEDED: "RESOURCE_EXHAUSTED",
  OUTPUT_UNKNOWN: "INVALID_ARGUMENT",
  QUEUE_FULL: "UNAVAILABLE",
  SIGNATURE_NOT_FOUND: "FAILED_PRECONDITION",
  UNSUPPORTED_OPS: "UNIMPLEMENTED",
};

/** Runs a signature; the engine's refusals become gRPC statuses. */
export async function runSignature(servable: Servable, request: RunRequest): Promise<Map<string, Tensor>> {
  const keys = signatureKeys(request.signature);
  for (const key of keys) {
    const reason = servable.unsupported.get(key);
    if (reason !== undefined) throw callError("UNIMPLEMENTED", reason);
  }
  try {
    return await inSpan("engine.run", { "cloister.signature": keys.join(",") }, () => servable.run(request), codeOf);
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause;
    if (cause.code === "CANCELLED" && isLate(request.signal))
      throw callError("DEADLINE_EXCEEDED", "Deadline Exceeded", { cause });
    const { what, why } = cause.explanation;
    throw callError(ENGINE_STATUS[cause.code], `${what}: ${why}`, { cause });
  }
}

/** What is wanted of a signature in a run with others. */
export interface RunPart {
  readonly signature: string;
  readonly outputs: readonly string[];
}

/** Runs signatures that are fed the same tensors, at once. The outputs of each, in their order. */
export async function runJointly(
  servable: Servable,
  parts: readonly RunPart[],
  request: Pick<RunRequest, "inputs" | "signal">,
): Promise<ReadonlyMap<string, Tensor>[]> {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return [await runSignature(servable, { ...request, ...only })];
  const results = await runSignature(servable, {
    ...request,
    signature: parts.map(({ signature }) => signature),
    outputs: parts.flatMap(({ signature, outputs }) => outputs.map((alias) => jointAlias(signature, alias))),
  });
  return parts.map(({ signature, outputs }) => {
    const own = outputs.map((alias) => [alias, results.get(jointAlias(signature, alias))] as const);
    return new Map(own.flatMap(([alias, tensor]) => (tensor ? [[alias, tensor] as const] : [])));
  });
}

function codeOf(error: unknown): string {
  return isCodedError(error) ? error.code : "INTERNAL";
}
