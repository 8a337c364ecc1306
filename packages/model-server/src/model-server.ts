import type { GrpcStatusName } from "@cloister/encoding/grpc";
import type { TensorEncoding } from "@cloister/encoding/tensor-proto";
import type { ModelFiles } from "@cloister/saved-model";
import type { Engine } from "./engine/engine.ts";
import { ModelServerError } from "./errors.ts";
import type { EvidenceSource } from "./evidence/evidence.ts";
import { DEFAULT_LIMITS, type RpcLimits } from "./rpc/limits.ts";
import type { ModelServerTls } from "./rpc/tls.ts";
import type { UnaryHandler } from "./rpc/unary-call.ts";
import { startUnaryServer } from "./rpc/unary-server.ts";
import { healthHandler } from "./serving/health.ts";
import { modelMetadataHandler } from "./serving/model-metadata.ts";
import { modelStatusHandler } from "./serving/model-status.ts";
import { classifyHandler, multiInferenceHandler, regressHandler } from "./serving/examples-rpc.ts";
import { predictHandler } from "./serving/predict-rpc.ts";
import { ServingMetrics } from "./metrics/serving-metrics.ts";
import type { ServingContext } from "./serving/context.ts";
import { ModelRegistry } from "./serving/registry.ts";

/** Response header that names the replica which answered. */
export const REPLICA_HEADER = "cloister-replica";
const DEFAULT_GRACE_MS = 10_000;

export interface ModelToServe {
  readonly name: string;
  readonly version: number | bigint;
  /** Read during the load only; no reference is kept. */
  readonly files: ModelFiles;
}

export interface ModelServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: ModelServerTls;
  /** Plaintext, for tests and for use behind another TLS end within the same enclave. Never together with `tls`. */
  readonly insecure?: boolean;
  /** Where clients that ask for evidence when they connect get it from. Absent: they are turned away. */
  readonly evidence?: EvidenceSource;
  readonly models: readonly ModelToServe[];
  readonly engine: Engine;
  /** Sent with each answer in the header `cloister-replica`. */
  readonly replicaId?: string;
  readonly limits?: Partial<RpcLimits>;
  readonly outputEncoding?: TensorEncoding;
  /** Told about every ended call: no payload, no names of tensors. */
  readonly onCallEnd?: (path: string, status: GrpcStatusName, durationMs: number) => void;
}

export interface ModelServer {
  readonly address: { readonly host: string; readonly port: number };
  readonly registry: ModelRegistry;
  /** Health says NOT_SERVING, running calls end (at most `graceMs`), connections close, models are unloaded. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Loads every model, then listens: an open port means that the models answer. Throws PLAINTEXT_REFUSED,
 * TLS_MATERIAL_INVALID, MODEL_NOT_AVAILABLE, and the listener's own errors.
 */
export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  refuseSilentPlaintext(options);
  const registry = new ModelRegistry();
  let isDraining = false;
  const isServing = (): boolean => !isDraining && registry.isReady;
  try {
    await loadAll(registry, options);
    const server = await startUnaryServer({
      host: options.host,
      port: options.port,
      tls: options.tls,
      evidence: options.evidence,
      methods: methodsOf(registry, isServing, options),
      metadata: options.replicaId === undefined ? {} : { [REPLICA_HEADER]: options.replicaId },
      limits: options.limits,
      ...(options.onCallEnd !== undefined && { onCallEnd: options.onCallEnd }),
    });
    return {
      address: server.address,
      registry,
      close: async ({ graceMs = DEFAULT_GRACE_MS } = {}) => {
        isDraining = true;
        await server.close(graceMs);
        await registry.unloadAll();
      },
    };
  } catch (error) {
    await registry.unloadAll();
    throw error;
  }
}

function refuseSilentPlaintext({ tls, insecure }: ModelServerOptions): void {
  if ((tls === undefined) === (insecure === true)) return;
  throw new ModelServerError("PLAINTEXT_REFUSED", {
    what: "the server refused to start",
    why: "it needs either TLS material or the explicit wish for plaintext, and not both",
    remedy: "pass `tls`, or `insecure: true` where nobody else can read the wire",
  });
}

function methodsOf(
  registry: ModelRegistry,
  isServing: () => boolean,
  options: ModelServerOptions,
): ReadonlyMap<string, UnaryHandler> {
  const maxTensorBytes = 4 * (options.limits?.maxMessageBytes ?? DEFAULT_LIMITS.maxMessageBytes);
  const context: ServingContext = { registry, metrics: new ServingMetrics(), checkMethodNames: false };
  const predict = predictHandler(context, { outputEncoding: options.outputEncoding ?? "values", maxTensorBytes });
  return new Map([
    ["/tensorflow.serving.PredictionService/Predict", predict],
    ["/tensorflow.serving.PredictionService/Classify", classifyHandler(context)],
    ["/tensorflow.serving.PredictionService/Regress", regressHandler(context)],
    ["/tensorflow.serving.PredictionService/MultiInference", multiInferenceHandler(context)],
    ["/tensorflow.serving.PredictionService/GetModelMetadata", modelMetadataHandler(registry)],
    ["/tensorflow.serving.ModelService/GetModelStatus", modelStatusHandler(registry)],
    ["/grpc.health.v1.Health/Check", healthHandler(isServing)],
  ]);
}

async function loadAll(registry: ModelRegistry, { models, engine }: ModelServerOptions): Promise<void> {
  for (const { name, version, files } of models) {
    try {
      await registry.load(name, BigInt(version), () => engine.load(files));
    } catch (cause) {
      throw new ModelServerError(
        "MODEL_NOT_AVAILABLE",
        {
          what: "Failed to start server. Error: 1 servable(s) did not become available",
          why: `model ${name} version ${version} could not be loaded`,
          remedy: "see the cause",
        },
        { cause },
      );
    }
  }
}
