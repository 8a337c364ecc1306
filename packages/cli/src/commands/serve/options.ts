import { ENGINE_NAMES, type EngineName } from "@cloister/model-server/engine";
import { Command, InvalidArgumentError, Option } from "commander";
import { fraction, wholeNumber } from "../../flags.ts";
import { addFlagsWithoutEffect, trueOrFalse } from "./stock-flags.ts";

/** Flags of `tensorflow_model_server` under its names, then our own. */
export interface ServeFlags {
  readonly host: string;
  readonly port: number;
  readonly rest_api_port: number;
  readonly rest_api_timeout_in_ms: number;
  readonly rest_api_enable_cors_support: boolean;
  readonly model_name: string;
  readonly model_base_path: string;
  readonly model_config_file: string;
  readonly model_config_file_poll_wait_seconds: number;
  readonly ssl_config_file: string;
  readonly file_system_poll_wait_seconds: number;
  readonly max_num_load_retries: number;
  readonly load_retry_interval_micros: number;
  readonly allow_version_labels_for_unavailable_models: boolean;
  readonly enable_model_warmup: boolean;
  readonly num_request_iterations_for_warmup: number;
  readonly tensorflow_session_parallelism: number;
  readonly tensorflow_intra_op_parallelism: number;
  readonly tensorflow_inter_op_parallelism: number;
  readonly engine: EngineName;
  readonly engineLanes: number;
  readonly engineQueue: number;
  readonly engineCacheMib: number;
  readonly engineMemoryMib: number;
  readonly engineSpinning?: boolean;
  readonly enable_batching: boolean | "auto";
  readonly enable_per_model_batching_parameters: boolean;
  readonly grpc_socket_path: string;
  readonly grpc_channel_arguments: string;
  readonly batching_parameters_file: string;
  readonly saved_model_tags: readonly string[];
  readonly monitoring_config_file: string;
  readonly enable_signature_method_name_check: boolean;
  readonly enable_grpc_healthcheck_service: boolean;
  readonly enable_serialization_as_tensor_content: boolean;
  readonly use_alts_credentials: boolean;
  readonly insecure?: boolean;
  readonly insecureRest?: boolean;
  readonly insecureStore?: boolean;
  readonly storeEndpoint?: string;
  readonly storeRegion?: string;
  readonly sealKeys?: string;
  readonly wrapKey?: string;
  readonly ownerKey?: string;
  readonly minimumGeneration?: number;
  readonly reflection?: boolean;
  readonly otlpEndpoint?: string;
  readonly traceRatio: number;
  readonly allowClient?: readonly string[];
  readonly accessLog?: boolean;
  readonly json?: boolean;
}

const seconds = wholeNumber(0, 1_000_000);
const poll = (text: string): number => (/^-\d{1,10}$/.test(text) ? 0 : seconds(text));
const count = wholeNumber(0, 1_000_000);
const port = wholeNumber(0, 65_535);

/** `cloister serve` with its options. A flag that is not known is wrong usage. */
export function serveOptions(): Command {
  const command = new Command("serve")
    .description("Serve TensorFlow models: the flags of tensorflow_model_server, over TLS.")
    .option("--host <address>", "address to listen on", "0.0.0.0")
    .option("--port <n>", "gRPC port; 0: any free one", port, 8500)
    .option("--grpc_socket_path <path>", "Unix socket for gRPC, beside the port", "")
    .option("--grpc_channel_arguments <list>", "key=value,...: ages, keepalive and sizes; others have no effect", "")
    .option("--rest_api_port <n>", "REST port; 0: no REST", port, 0)
    .option("--rest_api_timeout_in_ms <n>", "how long a REST answer may take", wholeNumber(1, 2 ** 31 - 1), 30_000)
    .option("--model_name <name>", "name of the model, without a config file", "default")
    .option("--model_base_path <path>", "folder or URL (s3, gs, https) with a folder for each version", "")
    .option("--model_config_file <file>", "ModelServerConfig in protobuf text", "")
    .option("--model_config_file_poll_wait_seconds <n>", "how often to read it again; 0 or below: never", poll, 0)
    .option("--ssl_config_file <file>", "SSLConfig in protobuf text; read again when it changes", "")
    .option("--file_system_poll_wait_seconds <n>", "how often to look for versions; 0 or below: once", poll, 1)
    .option("--max_num_load_retries <n>", "further attempts at a load that failed", count, 5)
    .option("--load_retry_interval_micros <n>", "pause between them", wholeNumber(0, 1e12), 60_000_000)
    .option("--num_request_iterations_for_warmup <n>", "how often each warm-up record is sent", count, 0)
    .option("--tensorflow_session_parallelism <n>", "engine threads; 0: one a core", count, 0)
    .option("--tensorflow_intra_op_parallelism <n>", "engine threads; 0: one a core", count, 0)
    .option("--tensorflow_inter_op_parallelism <n>", "has no effect: operators run one after the other", count, 0)
    .addOption(
      new Option("--engine <name>", "what runs the models; auto: onnx, and tensorflow where it is needed and installed")
        .choices(ENGINE_NAMES)
        .default("auto"),
    )
    .option("--engine-lanes <n>", "requests of a model that run at a time", wholeNumber(1, 256), 1)
    .option("--engine-queue <n>", "requests of a model that may wait for it", wholeNumber(1, 1_000_000), 256)
    .option("--engine-cache-mib <n>", "memory for optimised graphs: a model loads again quickly", count, 0)
    .option("--engine-memory-mib <n>", "memory that all models may take, by estimate; 0: no limit", count, 0)
    .option("--engine-spinning", "engine threads wait busily: faster alone on a machine, slower on a shared one")
    .option("--saved_model_tags <tags>", "comma-separated tags of the graph to load", tags, ["serve"])
    .option("--batching_parameters_file <file>", "BatchingParameters in protobuf text; needs --enable_batching", "")
    .option("--monitoring_config_file <file>", "MonitoringConfig in protobuf text: metrics on the REST port", "")
    .option("--insecure", "gRPC without TLS, which tensorflow_model_server does unasked")
    .option("--insecure-rest", "REST without TLS")
    .option("--allow-client <name...>", "alternative names of client certificates that may call, such as DNS:name")
    .option("--insecure-store", "take models from object stores over http")
    .option("--store-endpoint <url>", "where s3:// leads, buckets in the path (default: Amazon S3)")
    .option("--store-region <name>", "region of the store (default: us-east-1)")
    .option("--seal-keys <folder>", "models are sealed: open them in memory with the owner's keys in this folder")
    .option("--wrap-key <file>", "models are sealed: the wrap key (default: that of the version in --seal-keys)")
    .option("--owner-key <file>", "the owner's public key in PEM (default: that in --seal-keys)")
    .option(
      "--minimum-generation <n>",
      "refuse older bundles (default: the newest recorded in --seal-keys)",
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .option("--reflection", "answer grpc.reflection.v1")
    .option("--otlp-endpoint <url>", "send spans of requests to this collector over OTLP/HTTP")
    .option("--trace-ratio <part>", "part of requests without a trace of their own that is traced", fraction, 0.01)
    .option("--access-log", "tell about every call, without its content")
    .option("--json", "print one JSON object a line");
  flag(command, "rest_api_enable_cors_support", "let web pages of other origins call", false);
  flag(command, "allow_version_labels_for_unavailable_models", "new labels may name versions to come", false);
  command.option(
    "--enable_batching [true|false|auto]",
    "run requests of one shape together; auto: where a measurement at the load says that it pays",
    (text: string) => (text.toLowerCase() === "auto" ? "auto" : trueOrFalse(text)),
    false,
  );
  flag(command, "enable_per_model_batching_parameters", "read batching_params.pbtxt in a version's folder", false);
  flag(command, "enable_model_warmup", "send the warm-up requests of a version before it is served", true);
  flag(command, "enable_signature_method_name_check", "refuse signatures under another API than theirs", false);
  flag(command, "enable_grpc_healthcheck_service", "answer grpc.health.v1", true);
  flag(command, "enable_serialization_as_tensor_content", "answer with tensor_content", false);
  flag(command, "use_alts_credentials", "refused where it is true: ALTS is Google Cloud's own", false);
  addFlagsWithoutEffect(command);
  return command;
}

function flag(command: Command, name: string, description: string, byDefault: boolean): void {
  command.option(`--${name} [true|false]`, description, trueOrFalse, byDefault);
}

function tags(text: string): readonly string[] {
  const found = text.split(",");
  if (found.includes("")) throw new InvalidArgumentError("TAG or TAG,TAG,... is needed");
  return found;
}
