import { readFile } from "node:fs/promises";
import { CodedError } from "@cloister/encoding";
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { BrokerConfig } from "./commands/broker/options.ts";

export type ConfigErrorCode = "CONFIG_NOT_FOUND" | "CONFIG_INVALID";

export class ConfigError extends CodedError<ConfigErrorCode> {}

const CONFIG_FILE = "cloister.yaml";
const MAX_CONFIG_BYTES = 1 << 20;
const PORT = z.int().min(0).max(65_535);

/** `cloister.yaml`. Every key has a flag of the same name that overrides it; docs/reference/configuration.md lists them. */
const Config = z.strictObject({
  up: z
    .strictObject({
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
    })
    .optional(),
  broker: BrokerConfig.optional(),
  /** Read by the commands that need it: their package has its schema. */
  kubernetes: z.record(z.string(), z.unknown()).optional(),
});

export type Config = z.infer<typeof Config>;

/**
 * Reads the configuration file. Without `path` a missing `cloister.yaml` counts as an empty one; a file that was named has to
 * be there. Throws `CONFIG_NOT_FOUND` and `CONFIG_INVALID` (unknown keys included).
 */
export async function readConfig(path?: string): Promise<Config> {
  const text = await readFile(path ?? CONFIG_FILE, "utf8").catch((cause: unknown) => {
    if (path === undefined) return undefined;
    throw new ConfigError(
      "CONFIG_NOT_FOUND",
      { what: `the configuration ${path} was not read`, why: "the file cannot be opened", remedy: "check --config" },
      { cause },
    );
  });
  return text === undefined ? {} : parseConfig(text);
}

/** Parses the text of a configuration file. Throws `CONFIG_INVALID`. */
export function parseConfig(text: string): Config {
  if (text.length > MAX_CONFIG_BYTES) throw invalid("it is larger than 1 MiB");
  const parsed = Config.safeParse(parseYaml(text) ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "top level"}: ${issue.message}`);
  throw invalid(problems.join("; "));
}

function parseYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 10 });
  } catch (error) {
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw invalid(`it is not YAML${line === undefined ? "" : ` (line ${line})`}`);
  }
}

function invalid(why: string): ConfigError {
  return new ConfigError("CONFIG_INVALID", {
    what: "the configuration was refused",
    why,
    remedy: "see docs/reference/configuration.md for the keys",
  });
}
