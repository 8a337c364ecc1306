import { create, fromBinary } from "@bufbuild/protobuf";
import {
  ReloadConfigRequestSchema,
  ReloadConfigResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/model_management_pb";
import { callError } from "../errors.ts";
import { type ServedModel, servedModels } from "../lifecycle/model-config.ts";
import type { MetricRegistry } from "../metrics/metric-registry.ts";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { serialize } from "./serialize.ts";

/**
 * ModelService.HandleReloadConfigRequest. `apply` is `undefined` where the models are not read from folders: a server that
 * got its models sealed must not load others from a place that the host controls.
 */
export function reloadConfigHandler(
  apply: ((served: readonly ServedModel[]) => Promise<void>) | undefined,
  metrics: MetricRegistry,
): UnaryHandler {
  return async (bytes) => {
    const { config, metricNames } = fromBinary(ReloadConfigRequestSchema, bytes);
    if (apply === undefined) {
      throw callError("FAILED_PRECONDITION", "The models of this server are fixed: they were not read from folders.");
    }
    if (config === undefined) {
      throw callError("INVALID_ARGUMENT", "Only ModelConfigList is supported in the ModelServerConfig.");
    }
    const before = new Map(metricNames.map((name) => [name, metrics.total(name) ?? 0]));
    await apply(servedModels(config));
    const metric = [...before].map(([name, value]) => ({
      name,
      valueIncrease: {
        case: "int64ValueIncrease" as const,
        value: BigInt(Math.round((metrics.total(name) ?? 0) - value)),
      },
    }));
    return serialize(ReloadConfigResponseSchema, create(ReloadConfigResponseSchema, { status: {}, metric }));
  };
}
