import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ChainOptions, modelNameOf } from "@cloister/deploy";
import { type Config, readConfig } from "../../config.ts";

/** Flags of `cloister up` as commander hands them over: only those that were given. */
export interface UpFlags {
  readonly config?: string;
  readonly model?: string;
  readonly name?: string;
  readonly modelVersion?: number;
  readonly modelsDir?: string;
  readonly workDir?: string;
  readonly replicas?: number;
  readonly tls?: "one-way" | "mutual";
  readonly port?: number;
  readonly brokerPort?: number;
  readonly gateway?: "auto" | "nginx" | "built-in";
  readonly requests?: number;
  readonly concurrency?: number;
  readonly threads?: number;
  readonly keep?: boolean;
  readonly attacks?: boolean;
  readonly json?: boolean;
}

export interface UpSettings {
  readonly chain: ChainOptions;
  readonly requests: number;
  readonly concurrency: number;
}

const DEFAULT_REPLICAS = 2;
const DEFAULT_REQUESTS = 1000;
const DEFAULT_CONCURRENCY = 8;
const DEFAULT_PORT = 8500;
const DEFAULT_BROKER_PORT = 4433;

/** Where this program is installed: the folder that holds `packages/` and `node_modules/`. */
const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");

/** Flags over configuration over defaults. Throws `ConfigError`. */
export async function upSettings(flags: UpFlags): Promise<UpSettings> {
  const settings: NonNullable<Config["up"]> = { ...(await readConfig(flags.config)).up, ...flags };
  const path = settings.model ?? join(ROOT, "examples/digits/saved_model");
  const replicas = settings.replicas ?? DEFAULT_REPLICAS;
  return {
    requests: settings.requests ?? DEFAULT_REQUESTS,
    concurrency: settings.concurrency ?? DEFAULT_CONCURRENCY,
    chain: {
      installation: { root: ROOT, nodeExecutable: process.execPath },
      model: { path, name: settings.name ?? modelNameOf(path), version: settings.modelVersion ?? 1 },
      modelsDir: resolve(settings.modelsDir ?? "models"),
      workDir: resolve(settings.workDir ?? ".cloister"),
      replicas,
      tls: settings.tls ?? "mutual",
      port: settings.port ?? DEFAULT_PORT,
      brokerPort: settings.brokerPort ?? DEFAULT_BROKER_PORT,
      gateway: settings.gateway ?? "auto",
      engineThreads: settings.threads ?? Math.max(1, Math.floor(availableParallelism() / replicas)),
    },
  };
}
