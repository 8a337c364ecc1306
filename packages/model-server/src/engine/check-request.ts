import type { Tensor } from "@cloister/encoding/tensor";
import type { SignatureInfo } from "./engine.ts";
import { engineError } from "./failure.ts";
import { findSignature, type SignatureKey, signatureKeys } from "./joint-signature.ts";

/** @throws EngineError SIGNATURE_NOT_FOUND */
export function requireSignature<Info extends SignatureInfo>(
  signatures: ReadonlyMap<string, Info>,
  key: SignatureKey,
): Info {
  const signature = findSignature(signatures, key);
  if (signature) return signature;
  throw engineError(
    "SIGNATURE_NOT_FOUND",
    `the model has no signature ${signatureKeys(key).join(", ")}`,
    "the request names it",
    "ask for the model's metadata",
  );
}

/**
 * Checks the request's aliases and dtypes against the signature. Shapes are left to the graph, as TensorFlow Serving does.
 *
 * @throws EngineError INPUT_UNKNOWN, INPUT_MISSING, INPUT_INVALID, OUTPUT_UNKNOWN
 */
export function checkRequest(
  signature: SignatureInfo,
  inputs: ReadonlyMap<string, Tensor>,
  outputs: readonly string[],
): void {
  for (const alias of inputs.keys()) {
    if (!signature.inputs.has(alias)) {
      throw engineError("INPUT_UNKNOWN", `the signature has no input ${alias}`, "the request gives it", "leave it out");
    }
  }
  for (const [alias, info] of signature.inputs) {
    const tensor = inputs.get(alias);
    if (!tensor) throw engineError("INPUT_MISSING", `the input ${alias} is missing`, "the signature has it", "send it");
    if (tensor.dtype !== info.dtype) {
      const why = `it is ${tensor.dtype}, the signature says ${info.dtype}`;
      throw engineError("INPUT_INVALID", `the input ${alias} has the wrong dtype`, why, "convert it");
    }
  }
  for (const alias of outputs) {
    if (!signature.outputs.has(alias)) {
      throw engineError(
        "OUTPUT_UNKNOWN",
        `the signature has no output ${alias}`,
        "the request asks for it",
        "leave it out",
      );
    }
  }
}

/** Refuses a signature that the engine cannot run. @throws EngineError UNSUPPORTED_OPS */
export function requireSupported(unsupported: ReadonlyMap<string, string>, key: SignatureKey): void {
  for (const each of signatureKeys(key)) {
    const reason = unsupported.get(each);
    if (reason === undefined) continue;
    throw engineError("UNSUPPORTED_OPS", `the signature ${each} cannot run`, reason, "use another signature or engine");
  }
}
