import type { BatchingVerdict } from "./batching/auto-batching.ts";
import { batched } from "./batching/batched.ts";
import { ModelServerError } from "./errors.ts";
import type { ServedModel } from "./lifecycle/model-config.ts";
import { ModelManager } from "./lifecycle/model-manager.ts";
import { DEFAULT_WARMUP, prepareServable } from "./lifecycle/prepare-servable.ts";
import { ServingMetrics } from "./metrics/serving-metrics.ts";
import { type ModelServerTls, serverTlsOptions } from "./rpc/tls.ts";
import type { ServingContext } from "./serving/context.ts";
import { ModelRegistry } from "./serving/registry.ts";
import { anySource } from "./sources/any-source.ts";
import { openListeners } from "./listeners.ts";
import type { ModelServerOptions } from "./options.ts";
import { servicesOf } from "./services.ts";

const DEFAULT_GRACE_MS = 10_000;

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
    const { grpc, socket, rest } = await openListeners(context, services, options);
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
