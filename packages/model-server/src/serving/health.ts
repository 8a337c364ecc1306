import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import { callError } from "../errors.ts";
import type { StreamHandler } from "../rpc/streaming-call.ts";
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
const WATCH_MS = 500;
const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;

/** grpc.health.v1.Health/Check: SERVING while `isServing` says so. */
export function healthHandler(isServing: () => boolean): UnaryHandler {
  return async (bytes) => {
    const { service } = fromBinary(HealthCheckRequestSchema, bytes);
    if (!SERVICES.has(service)) throw callError("NOT_FOUND", "unknown service");
    return statusMessage(isServing() ? SERVING : NOT_SERVING);
  };
}

/** grpc.health.v1.Health/Watch: the status at once, then each change of it, until the client has enough. */
export function watchHealthHandler(isServing: () => boolean): StreamHandler {
  return async (bytes, send, signal) => {
    const isKnown = SERVICES.has(fromBinary(HealthCheckRequestSchema, bytes).service);
    let last: HealthCheckResponse_ServingStatus | undefined;
    for (;;) {
      const now = !isKnown ? SERVICE_UNKNOWN : isServing() ? SERVING : NOT_SERVING;
      if (now !== last) await send(statusMessage(now));
      last = now;
      if (signal.aborted) return;
      await sleep(WATCH_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
}

function statusMessage(status: HealthCheckResponse_ServingStatus): Uint8Array {
  return serialize(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status }));
}
