import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ModelServerOptions } from "@cloister/model-server";
import type { EngineOptions } from "@cloister/model-server/engine";
import { run } from "../../program.ts";
import { type ServeFlags, serveOptions } from "./options.ts";
import { serveLog } from "./output.ts";
import { engineOptions, serverOptions } from "./server-options.ts";
import { NO_EFFECT } from "./stock-flags.ts";

/** What a command line comes to. */
interface Outcome {
  readonly flags: ServeFlags;
  readonly server: ModelServerOptions;
  readonly engine: EngineOptions;
}

interface StockFlag {
  readonly type: "whole" | "fraction" | "boolean" | "text";
  /** What the command line says, other than the default; a boolean's is the opposite of its default. */
  readonly value: string;
  /** Flags that it needs beside it. */
  readonly beside?: readonly string[];
  /** What follows from it, and what that is with the value and without the flag; absent: it has no effect. */
  readonly effect?: readonly [of: (outcome: Outcome) => unknown, withFlag: unknown, without: unknown];
}

const rest = ["--rest_api_port=8501", "--insecure-rest"];
const batching = ["--enable_batching"];

/** Every flag of `tensorflow_model_server` with an effect here. */
const EFFECTIVE: Readonly<Record<string, StockFlag>> = {
  port: { type: "whole", value: "9000", effect: [({ server }) => server.port, 9000, 8500] },
  grpc_socket_path: {
    type: "text",
    value: "/run/grpc.sock",
    effect: [({ server }) => server.socketPath, "/run/grpc.sock", undefined],
  },
  rest_api_port: { type: "whole", value: "8501", effect: [({ server }) => server.rest?.port, 8501, undefined] },
  rest_api_timeout_in_ms: {
    type: "whole",
    value: "100",
    beside: rest,
    effect: [({ server }) => server.rest?.timeoutMs, 100, 30_000],
  },
  rest_api_enable_cors_support: {
    type: "boolean",
    value: "true",
    beside: rest,
    effect: [({ server }) => server.rest?.allowsCors, true, false],
  },
  model_name: {
    type: "text",
    value: "half",
    effect: [({ server }) => server.folders?.models[0]?.name, "half", "default"],
  },
  model_base_path: {
    type: "text",
    value: "/models/half",
    effect: [({ server }) => server.folders?.models[0]?.basePath, "/models/half", "/models/default"],
  },
  model_config_file: {
    type: "text",
    value: "FOLDER/models.config",
    effect: [({ server }) => server.folders?.models.map(({ name }) => name), ["one", "two"], ["default"]],
  },
  model_config_file_poll_wait_seconds: {
    type: "whole",
    value: "7",
    effect: [({ flags }) => flags.model_config_file_poll_wait_seconds, 7, 0],
  },
  ssl_config_file: {
    type: "text",
    value: "FOLDER/ssl.cfg",
    effect: [({ server }) => [server.tls?.cert, server.insecure], ["CERT", undefined], [undefined, true]],
  },
  file_system_poll_wait_seconds: {
    type: "whole",
    value: "-1",
    effect: [({ server }) => server.folders?.pollMs, 0, 1000],
  },
  max_num_load_retries: {
    type: "whole",
    value: "2",
    effect: [({ server }) => server.folders?.retries.maxRetries, 2, 5],
  },
  load_retry_interval_micros: {
    type: "whole",
    value: "2000",
    effect: [({ server }) => server.folders?.retries.intervalMs, 2, 60_000],
  },
  enable_batching: {
    type: "boolean",
    value: "true",
    effect: [({ server }) => server.batching?.isPerModel, false, undefined],
  },
  batching_parameters_file: {
    type: "text",
    value: "FOLDER/batching.pbtxt",
    beside: batching,
    effect: [({ server }) => maxBatchSize(server), 17, 1000],
  },
  enable_per_model_batching_parameters: {
    type: "boolean",
    value: "true",
    beside: batching,
    effect: [({ server }) => server.batching?.isPerModel, true, false],
  },
  allow_version_labels_for_unavailable_models: {
    type: "boolean",
    value: "true",
    effect: [({ server }) => server.folders?.allowLabelsForUnavailable, true, false],
  },
  enable_model_warmup: {
    type: "boolean",
    value: "false",
    effect: [({ server }) => server.warmup?.isEnabled, false, true],
  },
  num_request_iterations_for_warmup: {
    type: "whole",
    value: "3",
    effect: [({ server }) => server.warmup?.iterations, 3, 0],
  },
  tensorflow_session_parallelism: { type: "whole", value: "3", effect: [({ engine }) => engine.threads, 3, 0] },
  tensorflow_intra_op_parallelism: { type: "whole", value: "3", effect: [({ engine }) => engine.threads, 3, 0] },
  tensorflow_inter_op_parallelism: {
    type: "whole",
    value: "3",
    effect: [({ flags }) => flags.tensorflow_inter_op_parallelism, 3, 0],
  },
  saved_model_tags: {
    type: "text",
    value: "serve,gpu",
    effect: [({ engine }) => engine.tags, ["serve", "gpu"], ["serve"]],
  },
  grpc_channel_arguments: {
    type: "text",
    value: "grpc.max_connection_age_ms=2000",
    effect: [({ server }) => server.connectionCare?.maxAgeMs, 2000, undefined],
  },
  monitoring_config_file: {
    type: "text",
    value: "FOLDER/monitoring.config",
    beside: rest,
    effect: [({ server }) => server.rest?.metricsPath, "/metrics", undefined],
  },
  enable_signature_method_name_check: {
    type: "boolean",
    value: "true",
    effect: [({ server }) => server.checkMethodNames, true, false],
  },
  enable_grpc_healthcheck_service: {
    type: "boolean",
    value: "false",
    effect: [({ server }) => server.hasHealthService, false, true],
  },
  enable_serialization_as_tensor_content: {
    type: "boolean",
    value: "true",
    effect: [({ server }) => server.outputEncoding, "content", "values"],
  },
  use_alts_credentials: {
    type: "boolean",
    value: "true",
    effect: [({ flags }) => flags.use_alts_credentials, true, false],
  },
};

/** Those without one, as specified. */
const WITHOUT_EFFECT: Readonly<Record<string, StockFlag>> = {
  rest_api_num_threads: { type: "whole", value: "8" },
  num_load_threads: { type: "whole", value: "2" },
  num_unload_threads: { type: "whole", value: "2" },
  grpc_max_threads: { type: "whole", value: "16" },
  flush_filesystem_caches: { type: "boolean", value: "false" },
  remove_unused_fields_from_bundle_metagraph: { type: "boolean", value: "false" },
  platform_config_file: { type: "text", value: "/etc/platform.config" },
  tensorflow_session_config_file: { type: "text", value: "/etc/session.config" },
  per_process_gpu_memory_fraction: { type: "fraction", value: "0.5" },
  prefer_tflite_model: { type: "boolean", value: "true" },
  num_tflite_interpreters_per_pool: { type: "whole", value: "2" },
  num_tflite_pools: { type: "whole", value: "2" },
  xla_cpu_compilation_enabled: { type: "boolean", value: "true" },
  xla_gpu_compilation_enabled: { type: "boolean", value: "true" },
  mixed_precision: { type: "text", value: "bfloat16" },
  thread_pool_factory_config_file: { type: "text", value: "/etc/threads.config" },
  enable_profiler: { type: "boolean", value: "false" },
  skip_initialize_tpu: { type: "boolean", value: "true" },
};

const STOCK = Object.entries({ ...EFFECTIVE, ...WITHOUT_EFFECT });

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-flags-"));
  const config = (name: string): string =>
    `config { name: "${name}" base_path: "/models/${name}" model_platform: "tensorflow" }`;
  const files = {
    "models.config": `model_config_list { ${config("one")} ${config("two")} }`,
    "ssl.cfg": 'server_key: "KEY" server_cert: "CERT"',
    "batching.pbtxt": "max_batch_size { value: 17 }",
    "monitoring.config": 'prometheus_config { enable: true path: "/metrics" }',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
});
after(() => rm(folder, { recursive: true }));

/** `FOLDER` stands for where the files are. */
function parse(words: readonly string[]): ServeFlags {
  const command = serveOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command
    .parse(["--model_base_path=/models/default", ...words.map((word) => word.replace("FOLDER", folder))], {
      from: "user",
    })
    .opts();
}

async function outcome(words: readonly string[]): Promise<Outcome> {
  const flags = parse(words);
  const server = await serverOptions(flags, serveLog(true));
  return { flags, server, engine: engineOptions(flags) };
}

function maxBatchSize({ batching: choice }: ModelServerOptions): unknown {
  return choice?.parameters === "auto" ? "auto" : choice?.parameters.maxBatchSize;
}

/** How the original's command line may write a flag's value, and the value apart, which it does not take. */
function spellings(name: string, { type, value }: StockFlag): string[][] {
  if (type !== "boolean") return [[`--${name}=${value}`], [`--${name}`, value]];
  const values = value === "true" ? ["true", "TRUE", "1"] : ["false", "False", "0"];
  return [...values.map((one) => [`--${name}=${one}`]), ...(value === "true" ? [[`--${name}`]] : [])];
}

for (const [name, flag] of Object.entries(EFFECTIVE)) {
  const { effect, beside = [] } = flag;
  if (effect === undefined) throw new Error("an effect is missing");
  const [of, withFlag, without] = effect;
  test(`--${name} has its effect in every spelling, and the original's default without it`, async () => {
    assert.deepEqual(of(await outcome(beside)), without);
    for (const words of spellings(name, flag)) {
      assert.deepEqual(of(await outcome([...beside, ...words])), withFlag, words.join(" "));
    }
  });
}

test("flags without effect are taken in every spelling, change nothing, and are those that are warned of", async () => {
  assert.deepEqual(Object.keys(WITHOUT_EFFECT), [...NO_EFFECT.keys()]);
  const settings = async (words: readonly string[]): Promise<string> => {
    const { server, engine } = await outcome(words);
    return JSON.stringify([server, engine]);
  };
  const plain = await settings([]);
  for (const [name, flag] of Object.entries(WITHOUT_EFFECT)) {
    for (const words of spellings(name, flag)) {
      assert.notEqual((parse(words) as unknown as Record<string, unknown>)[name], undefined, words.join(" "));
      assert.equal(await settings(words), plain, words.join(" "));
    }
  }
});

test("a value of another type is wrong usage, one dash too, and no value where one is needed", () => {
  for (const [name, { type, value }] of STOCK) {
    const refused = [[`-${name}=${value}`]];
    if (type === "boolean") refused.push([`--${name}=maybe`], [`--${name}=`]);
    else refused.push([`--${name}`]);
    if (type === "whole") refused.push([`--${name}=abc`], [`--${name}=1.5`], [`--${name}=`]);
    if (type === "fraction") refused.push([`--${name}=half`], [`--${name}=`]);
    for (const words of refused) assert.throws(() => parse(words), { exitCode: 1 }, words.join(" "));
  }
});

test("the last of two values counts, and an empty text is the default", async () => {
  assert.equal(parse(["--model_name=a", "--model_name=b"]).model_name, "b");
  const empty = STOCK.filter(([name, { type }]) => type === "text" && name !== "saved_model_tags");
  const words = empty
    .filter(([name]) => !["model_name", "model_base_path"].includes(name))
    .map(([name]) => `--${name}=`);
  assert.equal((await outcome(words)).server.insecure, true);
});

test("ALTS and flags that are not known are wrong usage, the version and the help are told", async (context) => {
  context.mock.method(process.stderr, "write", () => true);
  const stdout = context.mock.method(process.stdout, "write", () => true);
  const serve = ["serve", "--insecure", "--model_base_path=/models/default"];
  assert.equal(await run([...serve, "--use_alts_credentials"]), 2);
  assert.equal(await run([...serve, "--model_bas_path=/models/default"]), 2);
  assert.equal(await run([...serve, "unexpected"]), 2);
  assert.equal(await run(["serve", "--version"]), 0);
  assert.equal(await run(["serve", "--help"]), 0);
  const told = stdout.mock.calls.map(({ arguments: [text] }) => String(text)).join("");
  for (const [name] of STOCK) assert.match(told, new RegExp(`--${name}\\b`));
});

test("the reference names every flag without effect, with the reason", async () => {
  const path = join(import.meta.dirname, "../../../../../docs/reference/model-server.md");
  const text = (await readFile(path, "utf8")).replaceAll(/ +/g, " ");
  for (const [name, { why }] of NO_EFFECT) assert.ok(text.includes(`| \`${name}\` | ${why} |`), name);
});
