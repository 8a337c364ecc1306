import { type Command, InvalidArgumentError } from "commander";

/** How `tensorflow_model_server` reads a flag's value. */
type StockType = "whole" | "fraction" | "boolean" | "text";

/** A flag of `tensorflow_model_server` that is accepted so that its command lines keep working. */
interface FlagWithoutEffect {
  readonly type: StockType;
  readonly why: string;
}

/** Their names, and why there is nothing for them to do. Each that is given is warned of. docs/reference/model-server.md has the list. */
export const NO_EFFECT: ReadonlyMap<string, FlagWithoutEffect> = new Map([
  ["rest_api_num_threads", { type: "whole", why: "REST has no threads of its own" }],
  ["num_load_threads", { type: "whole", why: "versions load side by side" }],
  ["num_unload_threads", { type: "whole", why: "versions unload side by side" }],
  ["grpc_max_threads", { type: "whole", why: "gRPC has no threads of its own" }],
  ["flush_filesystem_caches", { type: "boolean", why: "files are read once, into memory" }],
  ["remove_unused_fields_from_bundle_metagraph", { type: "boolean", why: "only what is used is kept in any case" }],
  ["platform_config_file", { type: "text", why: "there is one platform, tensorflow" }],
  ["tensorflow_session_config_file", { type: "text", why: "sessions of TensorFlow are not configured one by one" }],
  ["per_process_gpu_memory_fraction", { type: "fraction", why: "models run on the processor" }],
  ["prefer_tflite_model", { type: "boolean", why: "models of TensorFlow Lite are not served" }],
  ["num_tflite_interpreters_per_pool", { type: "whole", why: "models of TensorFlow Lite are not served" }],
  ["num_tflite_pools", { type: "whole", why: "models of TensorFlow Lite are not served" }],
  ["xla_cpu_compilation_enabled", { type: "boolean", why: "graphs are not compiled by XLA" }],
  ["xla_gpu_compilation_enabled", { type: "boolean", why: "models run on the processor" }],
  ["mixed_precision", { type: "text", why: "models run in the precision that they were exported in" }],
  ["thread_pool_factory_config_file", { type: "text", why: "threads are set by --tensorflow_session_parallelism" }],
  ["enable_profiler", { type: "boolean", why: "a profile would show what a confidential server works on" }],
  ["skip_initialize_tpu", { type: "boolean", why: "models run on the processor" }],
]);

/** Takes the flags without effect, with values as the original takes them. */
export function addFlagsWithoutEffect(command: Command): void {
  for (const [name, { type, why }] of NO_EFFECT) {
    const description = `has no effect: ${why}`;
    if (type === "boolean") command.option(`--${name} [true|false]`, description, trueOrFalse);
    else command.option(`--${name} <value>`, description, (text: string) => readValue(type, text));
  }
}

/** A boolean as the original's command line takes it: `--flag`, `--flag=true`, `--flag=0`, in any case of letters. */
export function trueOrFalse(text: string): boolean {
  const value = text.toLowerCase();
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw new InvalidArgumentError("true or false is needed");
}

const PATTERNS = { whole: /^[+-]?\d{1,10}$/, fraction: /^[+-]?(\d{1,15}\.?\d{0,15}|\.\d{1,15})$/ } as const;

function readValue(type: Exclude<StockType, "boolean">, text: string): string | number {
  if (type === "text") return text;
  if (PATTERNS[type].test(text)) return Number(text);
  throw new InvalidArgumentError(type === "whole" ? "a whole number is needed" : "a number is needed");
}
