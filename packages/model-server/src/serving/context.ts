import type { GrpcStatusName } from "@cloister/encoding/grpc";
import { ModelServerError } from "../errors.ts";
import type { Api, Entrypoint, ServingMetrics } from "../metrics/serving-metrics.ts";
import type { ModelRegistry } from "./registry.ts";

/** What every inference call needs. */
export interface ServingContext {
  readonly registry: ModelRegistry;
  readonly metrics: ServingMetrics;
  /** `--enable_signature_method_name_check`: signatures may be used only by the API that their method name says. */
  readonly checkMethodNames: boolean;
  /** The error of a Predict call whose signature does not exist; gRPC's where this is absent. */
  readonly signatureMissing?: (name: string) => ModelServerError;
}

/** Runs a call and counts it under its model's name, where the model exists: clients must not make new time series. */
export async function observed<Result>(
  { registry, metrics }: ServingContext,
  {
    api,
    entrypoint,
    model,
  }: { readonly api: Api; readonly entrypoint: Entrypoint; readonly model: string | undefined },
  call: () => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  const name = model !== undefined && registry.has(model) ? model : "";
  try {
    const result = await call();
    metrics.requestCount.at(name, "OK").add(1);
    return result;
  } catch (error) {
    metrics.requestCount.at(name, statusNameOf(error)).add(1);
    throw error;
  } finally {
    metrics.requestLatency.at(name, api, entrypoint).observe((performance.now() - startedAt) * 1000);
  }
}

/** Runs a model for a call and observes how long that took, where it succeeded. */
export async function timed<Result>(
  { metrics }: ServingContext,
  { api, model }: { readonly api: Api; readonly model: string },
  run: () => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  const result = await run();
  metrics.runtimeLatency.at(model, api, "TF1").observe((performance.now() - startedAt) * 1000);
  return result;
}

function statusNameOf(error: unknown): Exclude<GrpcStatusName, "OK"> {
  return error instanceof ModelServerError ? (error.code as Exclude<GrpcStatusName, "OK">) : "INTERNAL";
}
