import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ClassificationResponseSchema,
  type ClassificationResultSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/classification_pb";
import {
  type InferenceResultSchema,
  MultiInferenceResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/inference_pb";
import {
  RegressionResponseSchema,
  type RegressionResultSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/regression_pb";
import { readInferenceRequest, readMultiInferenceRequest } from "@cloister/encoding/inference-messages";
import { toModelSpec } from "@cloister/encoding/tensor-proto";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { observed, type ServingContext } from "./context.ts";
import type { ScoredClass } from "./example-signature.ts";
import { classify, multiInfer, regress, type TaskAnswer } from "./infer-examples.ts";
import { serialize } from "./serialize.ts";

/** PredictionService.Classify over gRPC. */
export function classifyHandler(context: ServingContext): UnaryHandler {
  return async (bytes, signal) => {
    const request = readInferenceRequest(bytes);
    const about = { api: "Classify", entrypoint: "GRPC", model: request.model?.name } as const;
    const { model, rows } = await observed(context, about, () => classify(context, { ...request, signal }));
    const response = { result: classificationResult(rows), modelSpec: toModelSpec(model) };
    return serialize(ClassificationResponseSchema, create(ClassificationResponseSchema, response));
  };
}

/** PredictionService.Regress over gRPC. */
export function regressHandler(context: ServingContext): UnaryHandler {
  return async (bytes, signal) => {
    const request = readInferenceRequest(bytes);
    const about = { api: "Regress", entrypoint: "GRPC", model: request.model?.name } as const;
    const { model, rows } = await observed(context, about, () => regress(context, { ...request, signal }));
    const response = { result: regressionResult(rows), modelSpec: toModelSpec(model) };
    return serialize(RegressionResponseSchema, create(RegressionResponseSchema, response));
  };
}

/** PredictionService.MultiInference over gRPC. */
export function multiInferenceHandler(context: ServingContext): UnaryHandler {
  return async (bytes, signal) => {
    const request = readMultiInferenceRequest(bytes);
    const about = { api: "MultiInference", entrypoint: "GRPC", model: request.tasks[0]?.model?.name } as const;
    const answers = await observed(context, about, () => multiInfer(context, { ...request, signal }));
    const response = create(MultiInferenceResponseSchema, { results: answers.map(inferenceResult) });
    return serialize(MultiInferenceResponseSchema, response);
  };
}

function inferenceResult(answer: TaskAnswer): MessageInitShape<typeof InferenceResultSchema> {
  const modelSpec = toModelSpec(answer.model);
  return answer.kind === "classify"
    ? { modelSpec, result: { case: "classificationResult", value: classificationResult(answer.rows) } }
    : { modelSpec, result: { case: "regressionResult", value: regressionResult(answer.rows) } };
}

function classificationResult(
  rows: readonly (readonly ScoredClass[])[],
): MessageInitShape<typeof ClassificationResultSchema> {
  return { classifications: rows.map((classes) => ({ classes: [...classes] })) };
}

function regressionResult(rows: readonly number[]): MessageInitShape<typeof RegressionResultSchema> {
  return { regressions: rows.map((value) => ({ value })) };
}
