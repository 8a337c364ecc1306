import { create, fromBinary } from "@bufbuild/protobuf";
import { CodedError } from "@cloister/encoding";
import { Code } from "@cloister/encoding/gen/tensorflow/core/protobuf/error_codes_pb";
import {
  GetModelStatusRequestSchema,
  GetModelStatusResponseSchema,
  ModelVersionStatus_State,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_status_pb";
import { fromModelSpec } from "@cloister/encoding/tensor-proto";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { requireModel } from "./model-spec.ts";
import type { ModelRegistry } from "./registry.ts";
import { serialize } from "./serialize.ts";

/** ModelService.GetModelStatus. A version label is ignored: all versions are told. */
export function modelStatusHandler(registry: ModelRegistry): UnaryHandler {
  return async (bytes) => {
    const { modelSpec } = fromBinary(GetModelStatusRequestSchema, bytes);
    const model = requireModel(modelSpec && fromModelSpec(modelSpec));
    const versions = registry.status(model.name, model.version);
    const response = create(GetModelStatusResponseSchema, {
      modelVersionStatus: versions.map(({ version, state, error }) => ({
        version,
        state: ModelVersionStatus_State[state],
        status: error === undefined ? {} : { errorCode: Code.UNKNOWN, errorMessage: describe(error) },
      })),
    });
    return serialize(GetModelStatusResponseSchema, response);
  };
}

/** Other errors may name paths or content: only their kind is told. */
function describe(error: Error): string {
  return error instanceof CodedError ? `${error.code}: ${error.message}` : "the load failed";
}
