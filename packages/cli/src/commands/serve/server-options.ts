import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  type BatchingChoice,
  defaultBatching,
  LATEST_VERSION,
  type ModelServerOptions,
  OtlpExporter,
  readBatchingParameters,
  readChannelArguments,
  readModelConfigText,
  readMonitoringConfig,
  readSslConfig,
  type ServedFolders,
  type ServedModel,
} from "@cloister/model-server";
import { chooseEngine, type EngineOptions } from "@cloister/model-server/engine";
import type { ServeFlags } from "./options.ts";
import type { ServeLog } from "./output.ts";
import { sourceOf } from "./sources.ts";

/** What the command line says, for the server. @throws where a file that it names cannot be read */
export async function serverOptions(flags: ServeFlags, log: ServeLog): Promise<ModelServerOptions> {
  const { host, port } = flags;
  const channel = readChannelArguments(flags.grpc_channel_arguments);
  for (const name of channel.ignored) log.warn(`the channel argument ${name} has no effect`);
  const metricsPath = await readOptional(flags.monitoring_config_file, readMonitoringConfig);
  const tls = await readOptional(flags.ssl_config_file, readSslConfig);
  return {
    host,
    port,
    ...(tls !== undefined ? { tls } : { insecure: true }),
    models: [],
    folders: await foldersOf(flags),
    limits: {
      ...(channel.maxMessageBytes !== undefined && { maxMessageBytes: channel.maxMessageBytes }),
      ...(channel.maxStreams !== undefined && { maxStreamsPerConnection: channel.maxStreams }),
    },
    connectionCare: channel.care,
    engine: chooseEngine(flags.engine, { ...engineOptions(flags), onFallback: log.fallback }),
    outputEncoding: flags.enable_serialization_as_tensor_content ? "content" : "values",
    warmup: { isEnabled: flags.enable_model_warmup, iterations: flags.num_request_iterations_for_warmup },
    ...(flags.enable_batching !== false && { batching: await batchingOf(flags) }),
    hasHealthService: flags.enable_grpc_healthcheck_service,
    checkMethodNames: flags.enable_signature_method_name_check,
    ...(flags.rest_api_port !== 0 && {
      rest: {
        host,
        port: flags.rest_api_port,
        timeoutMs: flags.rest_api_timeout_in_ms,
        allowsCors: flags.rest_api_enable_cors_support,
        ...(metricsPath !== undefined && { metricsPath }),
      },
    }),
    ...(flags.insecureRest === true && { insecureRest: true }),
    ...(flags.allowClient !== undefined && { allowedClients: flags.allowClient }),
    ...(flags.accessLog === true && { onCallEnd: log.call }),
    ...(flags.grpc_socket_path !== "" && { socketPath: flags.grpc_socket_path }),
    ...(flags.reflection === true && { hasReflection: true }),
    ...(flags.otlpEndpoint !== undefined && {
      tracing: { ratio: flags.traceRatio, exporter: new OtlpExporter(flags.otlpEndpoint, "cloister-serve") },
    }),
    onLifecycle: log.lifecycle,
  };
}

/** What the command line says of the engine. */
export function engineOptions(flags: ServeFlags): EngineOptions {
  return {
    threads: flags.tensorflow_session_parallelism || flags.tensorflow_intra_op_parallelism,
    lanes: flags.engineLanes,
    maxQueue: flags.engineQueue,
    allowSpinning: flags.engineSpinning === true,
    tags: flags.saved_model_tags,
    cacheBytes: flags.engineCacheMib * 2 ** 20,
    ...(flags.engineMemoryMib > 0 && { maxMemoryBytes: flags.engineMemoryMib * 2 ** 20 }),
  };
}

async function batchingOf(flags: ServeFlags): Promise<BatchingChoice> {
  const given = await readOptional(flags.batching_parameters_file, readBatchingParameters);
  return {
    parameters: flags.enable_batching === "auto" ? "auto" : (given ?? defaultBatching()),
    isPerModel: flags.enable_per_model_batching_parameters,
  };
}

async function foldersOf(flags: ServeFlags): Promise<ServedFolders> {
  return {
    models: await configuredModels(flags),
    source: sourceOf(flags),
    pollMs: flags.file_system_poll_wait_seconds * 1000,
    retries: { maxRetries: flags.max_num_load_retries, intervalMs: flags.load_retry_interval_micros / 1000 },
    allowLabelsForUnavailable: flags.allow_version_labels_for_unavailable_models,
  };
}

async function configuredModels(flags: ServeFlags): Promise<readonly ServedModel[]> {
  if (flags.model_config_file !== "") return readModelConfigText(await readFile(flags.model_config_file, "utf8"));
  const path = flags.model_base_path;
  const basePath = path.includes("://") ? path : resolve(path);
  return [{ name: flags.model_name, basePath, policy: LATEST_VERSION, labels: new Map() }];
}

async function readOptional<Value>(path: string, read: (text: string) => Value): Promise<Value | undefined> {
  return path === "" ? undefined : read(await readFile(path, "utf8"));
}
