import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { ModelFiles } from "@cloister/saved-model";
import { importFrozenGraph, importTfjsGraph, tfjsWeightPaths } from "@cloister/saved-model";
import { readTree, writeTreeAtomically } from "@cloister/protected-files/rim";
import { DeployError } from "../errors.ts";
import type { StepResult } from "./events.ts";

/** A model version in the owner's hands, in the clear. */
export interface OwnedModel {
  readonly name: string;
  readonly version: number;
  readonly files: ModelFiles;
  /** `models/<name>/<version>`, where it was imported to. */
  readonly folder: string;
  /** Folder that may hold pictures, labels and recorded answers for it. */
  readonly samplesFolder: string;
}

export interface ImportOptions {
  /** A SavedModel folder, a frozen GraphDef (`.pb`), or the `model.json` of a TensorFlow.js graph model. */
  readonly path: string;
  readonly name: string;
  readonly version: number;
  readonly modelsDir: string;
  /** The model goes to `exportDir/<version>` instead. */
  readonly exportDir?: string;
  /** Names of input and output nodes of a frozen graph; defaults `input` and `predict`. */
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  /** Of the signature that an import makes. */
  readonly signature?: string;
  readonly tags?: readonly string[];
  readonly methodName?: string;
}

type SignatureOptions = Omit<ImportOptions, "path" | "name" | "version" | "modelsDir" | "exportDir">;

/**
 * Imports a model into `modelsDir/<name>/<version>/`. A frozen graph becomes a SavedModel with the signature `serving_default`, inputs
 * `input`, outputs `predict` unless told otherwise. An earlier import of the same version is replaced as a whole. Throws `MODEL_NOT_FOUND` and the
 * codes of `SavedModelError`.
 */
export async function importModel({
  path,
  name,
  version,
  modelsDir,
  exportDir,
  ...options
}: ImportOptions): Promise<OwnedModel> {
  const files = await readModel(path, options);
  const folder = join(exportDir ?? join(modelsDir, name), String(version));
  await writeTreeAtomically(folder, files, { replace: true });
  return { name, version, files, folder, samplesFolder: dirname(resolve(path)) };
}

/** The import as a step of the chain. */
export async function importStep(options: ImportOptions): Promise<StepResult<OwnedModel>> {
  const model = await importModel(options);
  const bytes = [...model.files.values()].reduce((sum, file) => sum + file.length, 0);
  const facts = [`${model.name} version ${model.version}: ${model.files.size} files, ${bytes} bytes`, model.folder];
  return { result: model, facts };
}

/** The files of a SavedModel folder, or of the SavedModel that a graph becomes. Throws as `importModel`. */
export async function readModel(path: string, options: SignatureOptions = {}): Promise<ModelFiles> {
  const source = resolve(path);
  const info = await stat(source).catch((cause: unknown) => {
    throw notFound(path, cause);
  });
  if (source.endsWith(".json"))
    return importTfjsGraph(await readFile(source), await readWeights(source), options).files;
  if (!info.isDirectory()) return importFrozenGraph(await readFile(source), options).files;
  const files = await readTree(source);
  if (!files.has("saved_model.pb")) throw notFound(join(source, "saved_model.pb"));
  return files;
}

/** The weight files beside a `model.json`. It may name files in its own folder only. */
async function readWeights(modelJson: string): Promise<ModelFiles> {
  const weights = new Map<string, Uint8Array>();
  for (const path of tfjsWeightPaths(await readFile(modelJson))) {
    const file = join(dirname(modelJson), basename(path));
    const bytes = path === basename(path) ? await readFile(file).catch(() => undefined) : undefined;
    if (!bytes) throw notFound(file);
    weights.set(path, bytes);
  }
  return weights;
}

/** A name for a model out of its path: the example's folder, or the file's name without its ending. */
export function modelNameOf(path: string): string {
  const name = basename(resolve(path)).replace(/\.(?:pb|json)$/, "");
  const generic = ["saved_model", "frozen", "model"].includes(name) || /^\d+$/.test(name);
  return generic ? modelNameOf(dirname(resolve(path))) : name;
}

function notFound(path: string, cause?: unknown): DeployError {
  return new DeployError(
    "MODEL_NOT_FOUND",
    {
      what: `no model at ${path}`,
      why: "neither a SavedModel folder with saved_model.pb nor a frozen GraphDef is there",
      remedy: "name one with --model",
    },
    { cause },
  );
}
