import { EncodingError } from "@cloister/encoding";
import type { FileSystemStoragePathSourceConfig_ServableVersionPolicy } from "@cloister/encoding/gen/tensorflow_serving/config/file_system_storage_path_source_pb";
import {
  type ModelConfig,
  type ModelServerConfig,
  ModelServerConfigSchema,
  ModelType,
} from "@cloister/encoding/gen/tensorflow_serving/config/model_server_config_pb";
import { readTextFormat } from "@cloister/encoding/text-format";
import { callError } from "../errors.ts";

/** Which of the versions that are there are to be served. */
export type VersionPolicy =
  | { readonly kind: "latest"; readonly count: number }
  | { readonly kind: "all" }
  | { readonly kind: "specific"; readonly versions: readonly bigint[] };

/** A model, and the folder or URL below which there is a folder for each of its versions. */
export interface ServedModel {
  readonly name: string;
  readonly basePath: string;
  readonly policy: VersionPolicy;
  readonly labels: ReadonlyMap<string, bigint>;
}

export const LATEST_VERSION: VersionPolicy = { kind: "latest", count: 1 };

/** A folder, or a place in an object store. */
const BASE_PATH = /^(?:\/|(?:s3|gs|https?):\/\/)/;

/** Reads a model config file (`--model_config_file`). Throws INVALID_ARGUMENT. */
export function readModelConfigText(text: string): ServedModel[] {
  try {
    return servedModels(readTextFormat(ModelServerConfigSchema, text));
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw callError("INVALID_ARGUMENT", `Invalid protobuf file: ${cause.explanation.why}`, { cause });
  }
}

/** The models of a configuration. Throws INVALID_ARGUMENT as TensorFlow Serving does. */
export function servedModels({ config }: ModelServerConfig): ServedModel[] {
  if (config.case !== "modelConfigList") {
    throw callError("INVALID_ARGUMENT", "Only ModelConfigList is supported in the ModelServerConfig.");
  }
  const models = config.value.config.map(servedModel);
  const names = new Set<string>();
  for (const { name } of models) {
    if (names.has(name)) {
      throw callError("INVALID_ARGUMENT", `Illegal to list model ${name} multiple times in config list`);
    }
    names.add(name);
  }
  return models;
}

function servedModel(config: ModelConfig): ServedModel {
  const { name, basePath, modelPlatform, modelType, modelVersionPolicy, versionLabels } = config;
  if (name === "") throw callError("INVALID_ARGUMENT", "Expected model to have a name.");
  if (config.loggingConfig !== undefined) {
    // Nothing here writes requests down: who asks for that must not believe that it happens. (server_request_logger.cc)
    throw callError("INVALID_ARGUMENT", "No request-logger-creator provided.");
  }
  const isTensorFlow = modelPlatform === "tensorflow" || (modelPlatform === "" && modelType === ModelType.TENSORFLOW);
  if (!isTensorFlow) {
    throw callError("INVALID_ARGUMENT", `Expected model ${name} to have the model_platform "tensorflow".`);
  }
  if (!BASE_PATH.test(basePath)) {
    throw callError(
      "INVALID_ARGUMENT",
      `Expected model ${name} to have an absolute path or URI; got base_path()=${basePath}`,
    );
  }
  return {
    name,
    basePath,
    policy: modelVersionPolicy === undefined ? LATEST_VERSION : policyOf(modelVersionPolicy),
    labels: new Map(Object.entries(versionLabels)),
  };
}

function policyOf({ policyChoice }: FileSystemStoragePathSourceConfig_ServableVersionPolicy): VersionPolicy {
  switch (policyChoice.case) {
    case "all":
      return { kind: "all" };
    case "specific":
      return { kind: "specific", versions: policyChoice.value.versions };
    case "latest":
      return { kind: "latest", count: Math.max(1, policyChoice.value.numVersions) };
    default:
      return LATEST_VERSION;
  }
}

/** The versions that a policy wants, of those that are there. */
export function chooseVersions(present: Iterable<bigint>, policy: VersionPolicy): bigint[] {
  const sorted = [...present].toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  switch (policy.kind) {
    case "all":
      return sorted;
    case "specific":
      return sorted.filter((version) => policy.versions.includes(version));
    default:
      return sorted.slice(0, policy.count);
  }
}
