import { create, fromBinary } from "@bufbuild/protobuf";
import { CodedError } from "@cloister/encoding";
import { Code } from "@cloister/encoding/gen/tensorflow/core/protobuf/error_codes_pb";
import {
  GetModelStatusRequestSchema,
  type GetModelStatusResponse,
  GetModelStatusResponseSchema,
  ModelVersionStatus_State,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_status_pb";
import { fromModelSpec, type ModelReference } from "@cloister/encoding/tensor-proto";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { requireModel } from "./model-spec.ts";
import type { ModelRegistry } from "./registry.ts";
import { serialize } from "./serialize.ts";

/** ModelService.GetModelStatus. A version label is ignored: all versions are told. */
export function modelStatusHandler(registry: ModelRegistry): UnaryHandler {
  return async (bytes) => {
    const { modelSpec } = fromBinary(GetModelStatusRequestSchema, bytes);
    const model = requireModel(modelSpec && fromModelSpec(modelSpec));
    return serialize(GetModelStatusResponseSchema, modelStatus(registry, model));
  };
}

/** What is known of a model's versions. Throws NOT_FOUND. */
export function modelStatus(registry: ModelRegistry, model: ModelReference): GetModelStatusResponse {
  const versions = registry.status(model.name, model.version);
  return create(GetModelStatusResponseSchema, {
    modelVersionStatus: versions.map(({ version, state, error }) => ({
      version,
      state: ModelVersionStatus_State[state],
      status: error === undefined ? {} : { errorCode: Code.UNKNOWN, errorMessage: describe(error) },
    })),
  });
}

/** Other errors may name paths or content: only their kind is told. */
function describe(error: Error): string {
  return error instanceof CodedError ? `${error.code}: ${error.message}` : "the load failed";
}
