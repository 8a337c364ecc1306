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
import type { SignatureInfo } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { observed, type ServingContext } from "./context.ts";
import { inputsOf, predict } from "./predict.ts";

export interface PredictOptions {
  /** How outputs are written; `values` is TensorFlow Serving's default. */
  readonly outputEncoding: TensorEncoding;
  /** Memory that the decoded inputs of a request may take together. */
  readonly maxTensorBytes: number;
}

/** PredictionService.Predict over gRPC. */
export function predictHandler(context: ServingContext, options: PredictOptions): UnaryHandler {
  return async (bytes, signal) => {
    const request = readPredictRequest(bytes);
    const { outputFilter } = request;
    const readInputs = (signature: SignatureInfo): Map<string, Tensor> =>
      readTensors(request, signature, options.maxTensorBytes);
    const call = { model: request.model, outputFilter, readInputs, signal };
    const about = { api: "Predict", entrypoint: "GRPC", model: request.model?.name } as const;
    const answer = await observed(context, about, () => predict(context, call));
    return writePredictResponse(answer, options.outputEncoding, GRPC_PREFIX_LENGTH);
  };
}

/** The tensors of a request for a signature. `maxBytes` is what they may take together. */
export function readTensors(
  request: RawPredictRequest,
  signature: SignatureInfo,
  maxBytes: number,
): Map<string, Tensor> {
  let leftBytes = maxBytes;
  return inputsOf(request.inputs, signature, (alias, raw) => {
    const tensor = readTensor(alias, raw, leftBytes);
    leftBytes -= ArrayBuffer.isView(tensor.data) ? tensor.data.byteLength : tensor.data.length;
    return tensor;
  });
}

function readTensor(alias: string, raw: Uint8Array, maxTensorBytes: number): Tensor {
  try {
    return readTensorProto(raw, { maxTensorBytes });
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw callError("INVALID_ARGUMENT", `tensor parsing error: ${alias}`, { cause });
  }
}
