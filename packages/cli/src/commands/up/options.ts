import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ChainOptions, modelNameOf } from "@cloister/deploy";
import { z } from "zod";
import { readSection, type Section } from "../../config.ts";

const PORT = z.int().min(0).max(65_535);

/** The section `up` of `cloister.yaml`. */
const UpConfig = z.strictObject({
  model: z.string().min(1).optional(),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
    .optional(),
  modelVersion: z.int().positive().optional(),
  modelsDir: z.string().min(1).optional(),
  workDir: z.string().min(1).optional(),
  replicas: z.int().min(1).max(64).optional(),
  tls: z.enum(["one-way", "mutual"]).optional(),
  port: PORT.optional(),
  brokerPort: PORT.optional(),
  gateway: z.enum(["auto", "nginx", "built-in"]).optional(),
  requests: z.int().min(1).max(10_000_000).optional(),
  concurrency: z.int().min(1).max(1024).optional(),
  threads: z.int().min(1).max(256).optional(),
});

type UpConfig = z.infer<typeof UpConfig>;

/** Flags of `cloister up` as commander hands them over: only those that were given. */
export interface UpFlags extends UpConfig {
  readonly config?: string;
  readonly keep?: boolean;
  readonly attacks?: boolean;
  readonly json?: boolean;
}

export const UP_SECTION: Section<UpConfig> = { name: "up", schema: UpConfig };

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
const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../../../..");

/** Flags over configuration over defaults. Throws `ConfigError`. */
export async function upSettings(flags: UpFlags): Promise<UpSettings> {
  const settings: UpConfig = { ...(await readSection(flags.config, UP_SECTION)), ...flags };
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
