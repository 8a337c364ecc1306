import type { TensorEncoding } from "@cloister/encoding/tensor-proto";
import type { ModelFiles } from "@cloister/saved-model";
import type { BatchingVerdict } from "./batching/auto-batching.ts";
import { batched, type BatchingChoice } from "./batching/batched.ts";
import type { Engine } from "./engine/engine.ts";
import { ModelServerError } from "./errors.ts";
import type { LifecycleEvent, LoadRetries } from "./lifecycle/aspired-model.ts";
import type { ServedModel } from "./lifecycle/model-config.ts";
import { ModelManager } from "./lifecycle/model-manager.ts";
import { DEFAULT_WARMUP, prepareServable, type WarmupOptions } from "./lifecycle/prepare-servable.ts";
import { ServingMetrics } from "./metrics/serving-metrics.ts";
import { type EvidenceSource, limitedSource } from "./evidence/evidence.ts";
import { type RestOptions, type RestServer, startRestServer } from "./rest/rest-server.ts";
import { ClientAllowList } from "./rpc/client-allow-list.ts";
import { BufferBudget, DEFAULT_LIMITS, type RpcLimits } from "./rpc/limits.ts";
import { type ModelServerTls, serverTlsOptions } from "./rpc/tls.ts";
import type { ConnectionCare } from "./rpc/connection-care.ts";
import type { StreamHandler } from "./rpc/streaming-call.ts";
import type { EndedCall, UnaryHandler } from "./rpc/unary-call.ts";
import { startUnaryServer, type UnaryServer, type UnaryServerOptions } from "./rpc/unary-server.ts";
import { sealedDispatch } from "./sealed/dispatch.ts";
import { SealedEndpoint } from "./sealed/sealed-endpoint.ts";
import type { ServingContext } from "./serving/context.ts";
import { classifyHandler, multiInferenceHandler, regressHandler } from "./serving/examples-rpc.ts";
import { healthHandler, watchHealthHandler } from "./serving/health.ts";
import { modelMetadataHandler } from "./serving/model-metadata.ts";
import { modelStatusHandler } from "./serving/model-status.ts";
import { predictHandler } from "./serving/predict-rpc.ts";
import { ModelRegistry } from "./serving/registry.ts";
import { reflectionHandler } from "./serving/reflection.ts";
import { reloadConfigHandler } from "./serving/reload-config.ts";
import { anySource } from "./sources/any-source.ts";
import type { ModelSource } from "./sources/model-source.ts";
import type { OtlpExporter } from "./tracing/otlp-exporter.ts";
import { Tracer } from "./tracing/tracer.ts";

/** Response header that names the replica which answered. */
export const REPLICA_HEADER = "cloister-replica";
const DEFAULT_GRACE_MS = 10_000;

export interface ModelToServe {
  readonly name: string;
  readonly version: number | bigint;
  /** Read during the load only; no reference is kept. */
  readonly files: ModelFiles;
}

/** Models that are read from folders. */
export interface ServedFolders {
  readonly models: readonly ServedModel[];
  /** Where versions come from. Default: base paths are folders, or URLs of object stores that anybody may read. */
  readonly source?: ModelSource;
  /** Pause between two looks at the folders; 0: look once, and at each new configuration. */
  readonly pollMs: number;
  readonly retries: LoadRetries;
  readonly allowLabelsForUnavailable?: boolean;
}

export interface ModelServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: ModelServerTls;
  /** Plaintext, for tests and for use behind another TLS end within the same enclave. Never together with `tls`. */
  readonly insecure?: boolean;
  /** Versions whose files are in memory: from sealed bundles, for example. */
  readonly models: readonly ModelToServe[];
  /** Models in folders. Only where this is given can clients send another configuration (HandleReloadConfigRequest). */
  readonly folders?: ServedFolders;
  readonly engine: Engine;
  /** Where clients that ask for evidence when they connect get it from. Absent: they are turned away. */
  readonly evidence?: EvidenceSource;
  /** Sent with each answer in the header `cloister-replica`. */
  readonly replicaId?: string;
  readonly limits?: Partial<RpcLimits>;
  readonly outputEncoding?: TensorEncoding;
  readonly warmup?: WarmupOptions;
  /** Put requests together; absent: each runs on its own. */
  readonly batching?: BatchingChoice;
  /** Answer grpc.health.v1, default true. */
  readonly hasHealthService?: boolean;
  /** Refuse signatures under an API that their method name does not say, default false. */
  readonly checkMethodNames?: boolean;
  /** TensorFlow Serving's REST API. It has the same TLS and client authentication as gRPC. */
  readonly rest?: RestOptions;
  /** REST in plaintext, beside gRPC over TLS or not. */
  readonly insecureRest?: boolean;
  /** Alternative names of the client certificates that may call, for example `DNS:client.example`. Needs verified clients. */
  readonly allowedClients?: readonly string[];
  /** Told about every ended call, REST's too: no payload, no names of tensors. */
  readonly onCallEnd?: (call: EndedCall) => void;
  /** Spans of requests go to a collector. Absent: none are made. */
  readonly tracing?: { readonly ratio: number; readonly exporter: OtlpExporter };
  /** Answer grpc.reflection.v1, default false. */
  readonly hasReflection?: boolean;
  /** gRPC on a Unix socket too, under the same TLS. */
  readonly socketPath?: string;
  /** What becomes of old and silent gRPC connections. */
  readonly connectionCare?: ConnectionCare;
  /** Told what happens to versions. */
  readonly onLifecycle?: (event: LifecycleEvent) => void;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ModelServer {
  readonly address: Address;
  readonly restAddress: Address | undefined;
  readonly registry: ModelRegistry;
  readonly metrics: ServingMetrics;
  /** Replaces the configuration of the models in folders; throws as HandleReloadConfigRequest does. */
  applyConfig(models: readonly ServedModel[]): Promise<void>;
  /** Uses new TLS material for connections from now on; those that are open go on. Throws TLS_MATERIAL_INVALID. */
  replaceTls(tls: ModelServerTls): void;
  /** Health says NOT_SERVING, running calls end (at most `graceMs`), connections close, models are unloaded. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Loads every model, then listens: an open port means that the models answer. Throws PLAINTEXT_REFUSED,
 * TLS_MATERIAL_INVALID, MODEL_NOT_AVAILABLE and LISTEN_FAILED.
 */
export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  refuseSilentPlaintext(options);
  // Loading may take minutes: material that cannot be used is told before.
  if (options.tls !== undefined) serverTlsOptions(options.tls);
  const registry = new ModelRegistry();
  const metrics = new ServingMetrics();
  const context: ServingContext = { registry, metrics, checkMethodNames: options.checkMethodNames ?? false };
  const manager = managerOf(context, options);
  let isDraining = false;
  const isServing = (): boolean => !isDraining && registry.isReady;
  try {
    await loadAll(manager, options);
    const services = servicesOf(context, manager, isServing, options);
    const { grpc, socket, rest } = await listen(context, services, options);
    return {
      address: grpc.address,
      restAddress: rest?.address,
      registry,
      metrics,
      applyConfig: (models) => manager.apply(models),
      replaceTls: (tls) => {
        grpc.replaceTls(tls);
        socket?.replaceTls(tls);
        if (options.insecureRest !== true) rest?.replaceTls(tls);
      },
      close: async ({ graceMs = DEFAULT_GRACE_MS } = {}) => {
        isDraining = true;
        manager.close();
        await Promise.all([grpc.close(graceMs), socket?.close(graceMs), rest?.close(graceMs)]);
        await registry.unloadAll();
        await options.tracing?.exporter.close();
      },
    };
  } catch (error) {
    manager.close();
    await registry.unloadAll();
    throw error;
  }
}

interface Services {
  readonly methods: ReadonlyMap<string, UnaryHandler>;
  readonly streams: ReadonlyMap<string, StreamHandler>;
}

interface Listeners {
  readonly grpc: UnaryServer;
  readonly socket: UnaryServer | undefined;
  readonly rest: RestServer | undefined;
}

/** All listeners, which share one budget of bytes. Where one fails the others are closed again. */
async function listen(context: ServingContext, services: Services, options: ModelServerOptions): Promise<Listeners> {
  const { metrics } = context;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const budget = new BufferBudget(limits.maxBufferedBytes, metrics.heldBytes.at());
  const clients = options.allowedClients === undefined ? undefined : new ClientAllowList(options.allowedClients);
  const mayCall = clients?.mayCall.bind(clients);
  const running = metrics.runningCalls.at();
  const evidence = options.evidence && limitedSource(options.evidence);
  const { host, port, socketPath, tracing, onCallEnd } = options;
  const tracer = tracing && new Tracer({ ratio: tracing.ratio, onSpan: (span) => tracing.exporter.add(span) });
  const common: Omit<UnaryServerOptions, "listen"> = {
    tls: options.tls,
    ...services,
    tracer,
    connectionCare: options.connectionCare,
    metadata: options.replicaId === undefined ? {} : { [REPLICA_HEADER]: options.replicaId },
    limits,
    budget,
    mayCall,
    evidence,
    onCallStart: () => running.add(1),
    onCallEnd: (call) => {
      running.add(-1);
      onCallEnd?.(call);
    },
    onConnection: (event) => {
      if (event !== "closed") metrics.handshakes.at(event === "failed" ? "failed" : "ok").add(1);
      metrics.connections.at().add(event === "opened" ? 1 : event === "closed" ? -1 : 0);
    },
  };
  const opened: { close(graceMs: number): Promise<void> }[] = [];
  const keep = <Listener extends (typeof opened)[number]>(listener: Listener): Listener => {
    opened.push(listener);
    return listener;
  };
  try {
    const grpc = keep(await startUnaryServer({ ...common, listen: { host, port } }));
    const socket =
      socketPath === undefined ? undefined : keep(await startUnaryServer({ ...common, listen: { socketPath } }));
    if (options.rest === undefined) return { grpc, socket, rest: undefined };
    const tls = options.insecureRest === true ? undefined : options.tls;
    const sealed =
      evidence && new SealedEndpoint(evidence, sealedDispatch(context, services.methods, options.replicaId ?? ""));
    const own = {
      ...options.rest,
      tls,
      limits,
      budget,
      mayCall: mayCall ?? (() => true),
      onCallEnd,
      tracer,
      evidence,
      sealed,
    };
    return { grpc, socket, rest: await startRestServer(context, own) };
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close(0)));
    throw error;
  }
}

function refuseSilentPlaintext(options: ModelServerOptions): void {
  const { tls, insecure, rest, insecureRest, allowedClients } = options;
  if ((tls === undefined) !== (insecure === true)) {
    throw new ModelServerError("PLAINTEXT_REFUSED", {
      what: "the server refused to start",
      why: "it needs either TLS material or the explicit wish for plaintext, and not both",
      remedy: "pass `tls`, or `insecure: true` where nobody else can read the wire",
    });
  }
  if (rest !== undefined && tls === undefined && insecureRest !== true) {
    throw new ModelServerError("PLAINTEXT_REFUSED", {
      what: "the REST API refused to start",
      why: "there is no TLS material for it",
      remedy: "give TLS material, or say `--insecure-rest` where nobody else can read the wire",
    });
  }
  const isVerified = tls?.requireClientCertificate === true && !(rest !== undefined && insecureRest === true);
  if (allowedClients !== undefined && !isVerified) {
    throw new ModelServerError("TLS_MATERIAL_INVALID", {
      what: "the list of allowed clients cannot be used",
      why: "clients show no certificate on every way in",
      remedy: "require client certificates, and do not serve REST in plaintext",
    });
  }
}

function managerOf({ registry, metrics }: ServingContext, options: ModelServerOptions): ModelManager {
  const { engine, folders, batching: choice, warmup = DEFAULT_WARMUP, onLifecycle: report = () => undefined } = options;
  return new ModelManager({
    registry,
    source: folders?.source ?? anySource(),
    load: async (model, version, files, path) => {
      const servable = await prepareServable(engine, files, path, warmup, metrics);
      if (choice === undefined) return servable;
      const onVerdict = (verdict: BatchingVerdict): void =>
        report({ event: "batching_measured", model, version, ...verdict });
      return await batched(servable, { model, files, choice, metrics, onVerdict }).catch(async (error: unknown) => {
        await servable.close();
        throw error;
      });
    },
    retries: folders?.retries ?? { maxRetries: 0, intervalMs: 0 },
    pollMs: folders?.pollMs ?? 0,
    allowLabelsForUnavailable: folders?.allowLabelsForUnavailable ?? false,
    report,
  });
}

function servicesOf(
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

async function loadAll(manager: ModelManager, { models, folders }: ModelServerOptions): Promise<void> {
  try {
    await manager.serveFromMemory(
      models.map(({ name, version, files }) => ({ name, version: BigInt(version), files })),
    );
    if (folders !== undefined) await manager.apply(folders.models);
  } catch (cause) {
    if (!(cause instanceof ModelServerError)) throw cause;
    throw new ModelServerError(
      "MODEL_NOT_AVAILABLE",
      {
        what: `Failed to start server. Error: ${cause.explanation.what}`,
        why: reasonOf(cause),
        remedy: "see the cause",
      },
      { cause },
    );
  }
}

function reasonOf({ cause, explanation }: ModelServerError): string {
  return cause instanceof Error ? cause.message : explanation.why;
}
