import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { isCodedError } from "@cloister/encoding";
import {
  type BatchingChoice,
  defaultBatching,
  LATEST_VERSION,
  type ModelServer,
  type ModelServerOptions,
  OtlpExporter,
  readBatchingParameters,
  readChannelArguments,
  readModelConfigText,
  readMonitoringConfig,
  readSslConfig,
  type ServedFolders,
  type ServedModel,
  startModelServer,
} from "@cloister/model-server";
import { chooseEngine, type Engine } from "@cloister/model-server/engine";
import { type Command, CommanderError } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { watchText } from "../../watch-text.ts";
import { NO_EFFECT, type ServeFlags, serveOptions } from "./options.ts";
import { type ServeLog, serveLog } from "./output.ts";
import { sourceOf } from "./sources.ts";

const TLS_POLL_MS = 2000;
const KEEP_ALIVE_MS = 60_000;

/** `cloister serve`: the embedded model server, until a signal ends it. */
export function serveCommand(setExit: (code: number) => void): Command {
  return serveOptions().action(async (flags: ServeFlags, command: Command) => {
    checkUsage(flags, command);
    setExit(await serve(flags, command));
  });
}

function checkUsage(flags: ServeFlags, command: Command): void {
  const { tensorflow_session_parallelism: session, tensorflow_intra_op_parallelism: intra } = flags;
  if (flags.model_base_path === "" && flags.model_config_file === "") {
    throw usage(command, "one of --model_base_path and --model_config_file is needed");
  }
  if (session > 0 && (intra > 0 || flags.tensorflow_inter_op_parallelism > 0)) {
    throw usage(command, "--tensorflow_session_parallelism excludes the intra and inter op flags");
  }
  if (flags.batching_parameters_file !== "" && flags.enable_batching !== true) {
    throw usage(command, "--batching_parameters_file needs --enable_batching=true");
  }
  if (flags.enable_per_model_batching_parameters && flags.enable_batching === false) {
    throw usage(command, "--enable_per_model_batching_parameters needs --enable_batching");
  }
  if (flags.wrapKey !== undefined && flags.sealKeys === undefined) {
    if (flags.ownerKey === undefined || flags.minimumGeneration === undefined) {
      throw usage(command, "--wrap-key needs --owner-key and --minimum-generation, or all of them from --seal-keys");
    }
  }
  if (flags.rest_api_port !== 0 && flags.rest_api_port === flags.port) {
    throw usage(command, "--rest_api_port and --port are the same");
  }
  if (flags.ssl_config_file === "" && flags.insecure !== true) {
    throw usage(command, "--ssl_config_file is needed; say --insecure to serve gRPC without TLS");
  }
}

function usage(command: Command, message: string): CommanderError {
  command.configureOutput().writeErr?.(`error: ${message}\n`);
  return new CommanderError(EXIT.usage, "cloister.usage", message);
}

async function serve(flags: ServeFlags, command: Command): Promise<number> {
  const log = serveLog(flags.json === true);
  const ended = signalled();
  const given = command.opts<Record<string, unknown>>();
  for (const name of NO_EFFECT) if (given[name] !== undefined) log.warn(`--${name} has no effect`);
  const starting = startModelServer(await optionsOf(flags, log));
  // Models may be waited for without an end, which keeps no process alive by itself.
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
  const server = await Promise.race([starting, ended]).finally(() => clearInterval(alive));
  if (server === undefined) {
    log.line("stopped", "stopped before every model was loaded");
    void starting.then((late) => late.close({ graceMs: 0 })).catch(() => undefined);
    return EXIT.done;
  }
  const stops = [watchTls(flags, server, log), watchModels(flags, server, log)];
  log.listening(server.address, server.restAddress);
  await ended;
  log.line("draining", "draining: running requests end, then the server stops");
  for (const stop of stops) stop();
  await server.close();
  return EXIT.done;
}

async function optionsOf(flags: ServeFlags, log: ServeLog): Promise<ModelServerOptions> {
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
    engine: engineOf(flags, log),
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

function engineOf(flags: ServeFlags, log: ServeLog): Engine {
  const engine = chooseEngine(flags.engine, {
    threads: flags.tensorflow_session_parallelism || flags.tensorflow_intra_op_parallelism,
    lanes: flags.engineLanes,
    maxQueue: flags.engineQueue,
    allowSpinning: flags.engineSpinning === true,
    tags: flags.saved_model_tags,
    cacheBytes: flags.engineCacheMib * 2 ** 20,
    ...(flags.engineMemoryMib > 0 && { maxMemoryBytes: flags.engineMemoryMib * 2 ** 20 }),
    onFallback: log.fallback,
  });
  engine.prepare?.();
  return engine;
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

/** New certificates come into force without a restart; a file that cannot be used is told, and the old ones stay. */
function watchTls({ ssl_config_file: path }: ServeFlags, server: ModelServer, log: ServeLog): () => void {
  if (path === "") return () => undefined;
  return watchText(path, TLS_POLL_MS, async (text) => {
    try {
      server.replaceTls(readSslConfig(text));
      log.line("tls_replaced", "new TLS material is in use");
    } catch (error) {
      log.warn(`the new TLS material is not used: ${isCodedError(error) ? error.code : "unexpected error"}`);
    }
  });
}

function watchModels(flags: ServeFlags, server: ModelServer, log: ServeLog): () => void {
  const pollMs = flags.model_config_file_poll_wait_seconds * 1000;
  if (flags.model_config_file === "" || pollMs === 0) return () => undefined;
  return watchText(flags.model_config_file, pollMs, async (text) => {
    try {
      await server.applyConfig(readModelConfigText(text));
      log.line("config_applied", "the new model configuration is in use");
    } catch (error) {
      log.warn(`the new model configuration is not used: ${isCodedError(error) ? error.message : "unexpected error"}`);
    }
  });
}

function signalled(): Promise<undefined> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve(undefined));
    process.once("SIGINT", () => resolve(undefined));
  });
}
