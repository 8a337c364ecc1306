import { create, fromBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import { callError } from "../errors.ts";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { serialize } from "./serialize.ts";

/** Full names, as health clients use them, and the short ones that TensorFlow Serving registers. */
const SERVICES = new Set([
  "",
  "PredictionService",
  "ModelService",
  "tensorflow.serving.PredictionService",
  "tensorflow.serving.ModelService",
]);

/** grpc.health.v1.Health/Check: SERVING while `isServing` says so. */
export function healthHandler(isServing: () => boolean): UnaryHandler {
  return async (bytes) => {
    const { service } = fromBinary(HealthCheckRequestSchema, bytes);
    if (!SERVICES.has(service)) throw callError("NOT_FOUND", "unknown service");
    const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
    const response = create(HealthCheckResponseSchema, { status: isServing() ? SERVING : NOT_SERVING });
    return serialize(HealthCheckResponseSchema, response);
  };
}
