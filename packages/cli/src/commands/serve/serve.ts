import { isCodedError } from "@cloister/encoding";
import { type ModelServer, readModelConfigText, readSslConfig, startModelServer } from "@cloister/model-server";
import { type Command, CommanderError } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { watchText } from "../../watch-text.ts";
import { type ServeFlags, serveOptions } from "./options.ts";
import { type ServeLog, serveLog } from "./output.ts";
import { serverOptions } from "./server-options.ts";
import { NO_EFFECT } from "./stock-flags.ts";

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
  if (flags.use_alts_credentials) {
    throw usage(command, "--use_alts_credentials is not supported: --ssl_config_file has the same use everywhere");
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
  for (const [name, { why }] of NO_EFFECT) if (given[name] !== undefined) log.warn(`--${name} has no effect: ${why}`);
  const options = await serverOptions(flags, log);
  options.engine.prepare?.();
  const begun = Promise.withResolvers<ModelServer>();
  // Loading may take minutes: what changes meanwhile must not be missed.
  const stops = await Promise.all([watchTls(flags, begun.promise, log), watchModels(flags, begun.promise, log)]);
  const starting = startModelServer(options);
  // Models may be waited for without an end, which keeps no process alive by itself.
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
  const server = await Promise.race([starting, ended]).finally(() => clearInterval(alive));
  if (server === undefined) {
    log.line("stopped", "stopped before every model was loaded");
    void starting.then((late) => late.close({ graceMs: 0 })).catch(() => undefined);
    return EXIT.done;
  }
  begun.resolve(server);
  log.listening(server.address, server.restAddress);
  await ended;
  log.line("draining", "draining: running requests end, then the server stops");
  for (const stop of stops) stop();
  await server.close();
  return EXIT.done;
}

/** New certificates come into force without a restart; a file that cannot be used is told, and the old ones stay. */
async function watchTls(
  { ssl_config_file: path }: ServeFlags,
  begun: Promise<ModelServer>,
  log: ServeLog,
): Promise<() => void> {
  if (path === "") return () => undefined;
  return watchText(path, TLS_POLL_MS, async (text) => {
    const server = await begun;
    try {
      server.replaceTls(readSslConfig(text));
      log.line("tls_replaced", "new TLS material is in use");
    } catch (error) {
      log.warn(`the new TLS material is not used: ${isCodedError(error) ? error.code : "unexpected error"}`);
    }
  });
}

async function watchModels(flags: ServeFlags, begun: Promise<ModelServer>, log: ServeLog): Promise<() => void> {
  const pollMs = flags.model_config_file_poll_wait_seconds * 1000;
  if (flags.model_config_file === "" || pollMs === 0) return () => undefined;
  return watchText(flags.model_config_file, pollMs, async (text) => {
    const server = await begun;
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
