import { readFile } from "node:fs/promises";
import { CodedError } from "@cloister/encoding";
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";

export type ConfigErrorCode = "CONFIG_NOT_FOUND" | "CONFIG_INVALID";

export class ConfigError extends CodedError<ConfigErrorCode> {}

const CONFIG_FILE = "cloister.yaml";
const MAX_CONFIG_BYTES = 1 << 20;

/** The sections of `cloister.yaml`; docs/reference/configuration.md lists their keys. */
const Sections = z.strictObject({
  up: z.unknown(),
  broker: z.unknown(),
  enclave: z.unknown(),
  gateway: z.unknown(),
  kubernetes: z.unknown(),
});

type SectionName = keyof z.infer<typeof Sections>;

/** A part of the configuration, by the schema of the command that reads it. Each key has a flag of the same name that overrides it. */
export interface Section<Settings> {
  readonly name: SectionName;
  readonly schema: z.ZodType<Settings>;
}

/**
 * Reads one section of the configuration file; other sections are for other commands and only their names are checked. Without `path`
 * a missing `cloister.yaml` counts as an empty one; a file that was named has to be there. Throws `CONFIG_NOT_FOUND` and
 * `CONFIG_INVALID` (unknown keys included).
 */
export async function readSection<Settings>(
  path: string | undefined,
  section: Section<Settings>,
): Promise<Settings | undefined> {
  const text = await readFile(path ?? CONFIG_FILE, "utf8").catch((cause: unknown) => {
    if (path === undefined) return undefined;
    throw new ConfigError(
      "CONFIG_NOT_FOUND",
      { what: `the configuration ${path} was not read`, why: "the file cannot be opened", remedy: "check --config" },
      { cause },
    );
  });
  return text === undefined ? undefined : parseSection(text, section);
}

/** The section in the text of a configuration file. Throws `CONFIG_INVALID`. */
export function parseSection<Settings>(text: string, { name, schema }: Section<Settings>): Settings | undefined {
  if (text.length > MAX_CONFIG_BYTES) throw invalid("it is larger than 1 MiB");
  const sections = check(Sections.partial(), parseYaml(text) ?? {}, []);
  const content = sections[name];
  return content === undefined ? undefined : check(schema, content, [name]);
}

function check<Value>(schema: z.ZodType<Value>, value: unknown, at: readonly string[]): Value {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    return `${[...at, ...path].join(".") || "top level"}: ${message}`;
  });
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
