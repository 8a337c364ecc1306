import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type PredictRequest,
  PredictRequestSchema,
  type PredictResponse,
  PredictResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import type { MethodDefinition } from "@grpc/grpc-js";

/** Predict with generated messages, as grpc-js wants a method for its servers and for its stubs. */
export const GRPC_JS_PREDICT: MethodDefinition<PredictRequest, PredictResponse> = {
  path: "/tensorflow.serving.PredictionService/Predict",
  requestStream: false,
  responseStream: false,
  requestSerialize: (message) => Buffer.from(toBinary(PredictRequestSchema, message)),
  requestDeserialize: (bytes) => fromBinary(PredictRequestSchema, bytes),
  responseSerialize: (message) => Buffer.from(toBinary(PredictResponseSchema, message)),
  responseDeserialize: (bytes) => fromBinary(PredictResponseSchema, bytes),
};
