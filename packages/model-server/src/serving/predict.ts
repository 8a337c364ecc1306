import { EncodingError } from "@cloister/encoding";
import { GRPC_PREFIX_LENGTH } from "@cloister/encoding/grpc";
import type { Tensor } from "@cloister/encoding/tensor";
import {
  type RawPredictRequest,
  readPredictRequest,
  readTensorProto,
  type TensorEncoding,
  writePredictResponse,
} from "@cloister/encoding/tensor-proto";
import type { Servable, SignatureInfo } from "../engine/engine.ts";
import { EngineError, type EngineErrorCode } from "../engine/error.ts";
import { callError, type ModelServerError } from "../errors.ts";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { requireModel } from "./model-spec.ts";
import type { ModelRegistry } from "./registry.ts";

const DEFAULT_SIGNATURE = "serving_default";

export interface PredictOptions {
  /** How outputs are written; `values` is TensorFlow Serving's default. */
  readonly outputEncoding: TensorEncoding;
  /** Memory that the decoded inputs of a request may take together. */
  readonly maxTensorBytes: number;
}

/** PredictionService.Predict: codes and texts follow TensorFlow Serving's predict_util.cc and server_core.cc. */
export function predictHandler(registry: ModelRegistry, options: PredictOptions): UnaryHandler {
  return async (bytes, signal) => {
    const request = readPredictRequest(bytes);
    const model = requireModel(request.model);
    const handle = registry.acquire(model);
    try {
      const signatureName = model.signatureName === "" ? DEFAULT_SIGNATURE : model.signatureName;
      const signature = findSignature(handle.servable, signatureName);
      const inputs = readInputs(request, signature, options.maxTensorBytes);
      const wanted = wantedOutputs(request.outputFilter, signature);
      const outputs = await run(handle.servable, { signature: signatureName, inputs, outputs: wanted, signal });
      const answered = { name: handle.name, version: handle.version, signatureName };
      return writePredictResponse({ model: answered, outputs }, options.outputEncoding, GRPC_PREFIX_LENGTH);
    } finally {
      handle.release();
    }
  };
}

function findSignature(servable: Servable, name: string): SignatureInfo {
  const reason = servable.unsupported.get(name);
  if (reason !== undefined) throw callError("UNIMPLEMENTED", reason);
  const signature = servable.signatures.get(name);
  if (signature === undefined) throw callError("FAILED_PRECONDITION", `Serving signature key "${name}" not found.`);
  return signature;
}

function readInputs(request: RawPredictRequest, signature: SignatureInfo, maxBytes: number): Map<string, Tensor> {
  if (request.inputs.size !== signature.inputs.size) throw sizeMismatch(request.inputs, signature.inputs);
  const inputs = new Map<string, Tensor>();
  let leftBytes = maxBytes;
  for (const [alias, info] of signature.inputs) {
    const raw = request.inputs.get(alias);
    if (raw === undefined) {
      throw callError("INVALID_ARGUMENT", `Inputs contains invalid name. Missing input: ${alias} (feed ${info.name}).`);
    }
    const tensor = readInput(alias, raw, leftBytes);
    leftBytes -= ArrayBuffer.isView(tensor.data) ? tensor.data.byteLength : tensor.data.length;
    inputs.set(alias, tensor);
  }
  return inputs;
}

function readInput(alias: string, raw: Uint8Array, maxTensorBytes: number): Tensor {
  try {
    return readTensorProto(raw, { maxTensorBytes });
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw callError("INVALID_ARGUMENT", `tensor parsing error: ${alias}`, { cause });
  }
}

function sizeMismatch(sent: ReadonlyMap<string, unknown>, wanted: ReadonlyMap<string, unknown>): ModelServerError {
  const list = (names: Iterable<string>): string => `{${[...names].toSorted().join(",")}}`;
  const extra = [...sent.keys()].filter((alias) => !wanted.has(alias));
  const missing = [...wanted.keys()].filter((alias) => !sent.has(alias));
  return callError(
    "INVALID_ARGUMENT",
    `input size does not match signature: ${sent.size}!=${wanted.size} len(${list(sent.keys())}) != ` +
      `len(${list(wanted.keys())}). Sent extra: ${list(extra)}. Missing but required: ${list(missing)}.`,
  );
}

function wantedOutputs(filter: readonly string[], signature: SignatureInfo): string[] {
  if (filter.length === 0) return [...signature.outputs.keys()];
  const wanted = new Set<string>();
  for (const alias of filter) {
    if (!signature.outputs.has(alias)) {
      const known = [...signature.outputs.keys()].toSorted().join(",");
      throw callError(
        "INVALID_ARGUMENT",
        `output tensor alias not found in signature: ${alias} Outputs expected to be in the set {${known}}.`,
      );
    }
    if (wanted.has(alias)) throw callError("INVALID_ARGUMENT", `duplicate output tensor alias: ${alias}`);
    wanted.add(alias);
  }
  return [...wanted];
}

const ENGINE_STATUS: Readonly<Record<EngineErrorCode, Parameters<typeof callError>[0]>> = {
  CANCELLED: "CANCELLED",
  CLOSED: "UNAVAILABLE",
  ENGINE_FAILED: "UNAVAILABLE",
  INPUT_INVALID: "INVALID_ARGUMENT",
  INPUT_MISSING: "INVALID_ARGUMENT",
  INPUT_UNKNOWN: "INVALID_ARGUMENT",
  LOAD_FAILED: "INTERNAL",
  OUTPUT_UNKNOWN: "INVALID_ARGUMENT",
  QUEUE_FULL: "UNAVAILABLE",
  SIGNATURE_NOT_FOUND: "FAILED_PRECONDITION",
  UNSUPPORTED_OPS: "UNIMPLEMENTED",
};

async function run(servable: Servable, request: Parameters<Servable["run"]>[0]): Promise<Map<string, Tensor>> {
  try {
    return await servable.run(request);
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause;
    const { what, why } = cause.explanation;
    throw callError(ENGINE_STATUS[cause.code], `${what}: ${why}`, { cause });
  }
}
