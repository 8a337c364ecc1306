import type { ModelManager } from "./lifecycle/model-manager.ts";
import { DEFAULT_LIMITS } from "./rpc/limits.ts";
import type { StreamHandler } from "./rpc/streaming-call.ts";
import type { UnaryHandler } from "./rpc/unary-call.ts";
import type { ServingContext } from "./serving/context.ts";
import { classifyHandler, multiInferenceHandler, regressHandler } from "./serving/examples-rpc.ts";
import { healthHandler, watchHealthHandler } from "./serving/health.ts";
import { modelMetadataHandler } from "./serving/model-metadata.ts";
import { modelStatusHandler } from "./serving/model-status.ts";
import { predictHandler } from "./serving/predict-rpc.ts";
import { reflectionHandler } from "./serving/reflection.ts";
import { reloadConfigHandler } from "./serving/reload-config.ts";
import type { ModelServerOptions } from "./options.ts";

/** Every gRPC method that is answered, by its path. */
export interface Services {
  readonly methods: ReadonlyMap<string, UnaryHandler>;
  readonly streams: ReadonlyMap<string, StreamHandler>;
}

/** The services that the options ask for. */
export function servicesOf(
  context: ServingContext,
  manager: ModelManager,
  isServing: () => boolean,
  options: ModelServerOptions,
): Services {
  const { registry, metrics } = context;
  const maxTensorBytes = 4 * (options.limits?.maxMessageBytes ?? DEFAULT_LIMITS.maxMessageBytes);
  const predict = predictHandler(context, { outputEncoding: options.outputEncoding ?? "values", maxTensorBytes });
  const apply = options.folders === undefined ? undefined : manager.apply.bind(manager);
  const methods = new Map([
    ["/tensorflow.serving.PredictionService/Predict", predict],
    ["/tensorflow.serving.PredictionService/Classify", classifyHandler(context)],
    ["/tensorflow.serving.PredictionService/Regress", regressHandler(context)],
    ["/tensorflow.serving.PredictionService/MultiInference", multiInferenceHandler(context)],
    ["/tensorflow.serving.PredictionService/GetModelMetadata", modelMetadataHandler(registry)],
    ["/tensorflow.serving.ModelService/GetModelStatus", modelStatusHandler(registry)],
    ["/tensorflow.serving.ModelService/HandleReloadConfigRequest", reloadConfigHandler(apply, metrics.registry)],
  ]);
  const streams = new Map<string, StreamHandler>();
  if (options.hasHealthService ?? true) {
    methods.set("/grpc.health.v1.Health/Check", healthHandler(isServing));
    streams.set("/grpc.health.v1.Health/Watch", watchHealthHandler(isServing));
  }
  if (options.hasReflection === true) {
    for (const version of ["v1", "v1alpha"]) {
      streams.set(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, reflectionHandler());
    }
  }
  return { methods, streams };
}
